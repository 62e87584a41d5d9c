"""Forms of operators that are several steps, or steps of their own: cases of the survey that `make test` always takes.

Each gives a peer's numbers in the session and in the specification, and in C on this computer.
"""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro is not installed")

import codegen
import edgebn
from edgebn import reference
from edgebn.errors import UnsupportedLayerError
from edgebn.formats import native
from edgebn.formats.tflite import read
from edgebn.program import signed_codes
from tests import emitted
from tests.formats.tflite.test_tflite_survey import outcome
from tests.formats.tflite.tflite_models import FileBuilder
from tests.formats.tflite.tflite_survey import FAMILIES

NAMES = (
    "PRELU (4, 3, 5): int8",  # Keras' own slopes, where shared_axes is not given
    "PRELU (3, 1): uint8",
    "PRELU (5,): int16",
    "PRELU (4, 3, 5): int16",
)


@pytest.fixture(scope="module")
def cases():
    return {case.name: case for make in FAMILIES.values() for case in make()}


@pytest.mark.filterwarnings("ignore")  # LiteRT warns of its own future
@pytest.mark.parametrize("name", NAMES)
def test_every_engine(name, cases, tmp_path):
    case, path = cases[name], tmp_path / "model.tflite"
    assert outcome(case, path) == "right"
    program = edgebn.load(path)
    samples = dict(zip(program.inputs, case.samples(), strict=True))
    native.save(program, tmp_path / "a.edgebn")
    result, expected = edgebn.Session(native.load(tmp_path / "a.edgebn")).run(samples), reference.run(program, samples)
    for output in program.outputs:
        ours, theirs = (one[output] if isinstance(one, dict) else one for one in (result, expected))
        ours = signed_codes(program.buffers[output], ours)  # the specification's uint8 codes are int8 ones
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5 if theirs.dtype == np.float32 else 0)
    board = emitted.board_or_skip("host")
    project = codegen.emit(program, tmp_path / "c", board="host", name="form")
    said = emitted.outcome(board, emitted.build(project, board, trace=True))
    assert (said.status, said.differ) == (0, 0), said.text


def test_int16_slopes_of_int16_codes_are_refused(tmp_path):
    """LiteRT reads the bytes of such slopes as int8."""
    files = FileBuilder()
    x, y = (files.value((1, 4, 5), np.int16, 0.001) for _ in range(2))
    files.operator("PRELU", [x, files.constant(np.arange(5, dtype=np.int16), 0.001)], [y])
    (tmp_path / "model.tflite").write_bytes(files.bytes([x], [y]))
    with pytest.raises(UnsupportedLayerError, match="slopes are INT16, which TensorFlow Lite reads as INT8"):
        read(tmp_path / "model.tflite")
