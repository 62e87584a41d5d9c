"""Files of other makers (zoo/ of the models) as firmware: saved, loaded, emitted, built, run; every byte is the reference's.

All files on the host and on an emulated Cortex-M4F with EDGEBN_TEST_ALL=1, some of each kind without it.
"""

import numpy as np
import pytest

import boards
import edgebn
from codegen import Pool
from codegen.emit import list_network
from edgebn.errors import EdgebnError
from tests import emitted
from tests.conftest import SHARED, TEST_ALL

FILES = sorted(path for path in (SHARED / "zoo").glob("*") if path.suffix in {".tflite", ".onnx", ".h5"})
FEW = {"coral_split_concat", "esp_streaming", "mww_v2_okay_nabu", "tflm_simple_add", "tm_mnist_dw_f", "tm_mnist_dw_q"}
# For files that leave height and width open: small, for the emulator's sake.
OPEN_SHAPES = {"mtcnn_pnet": (48, 64, 3), "ppocr_det_v4": (3, 96, 96), "ppocr_cls": (3, 48, 192)}
MAX_WEIGHT_BYTES = 4 << 20  # the board's flash
OWN_RAM = 3 << 20  # bytes of an arena that stay in the board's RAM, where that has not room for all


def _pools(program, board):
    """Return the memories that the arena is spread over: none but the board's RAM, where it fits."""
    slow = boards.load(board).pools.get("slow")
    if slow is None or list_network(program).arena.size <= OWN_RAM:
        return ()
    return (Pool("fast", OWN_RAM), Pool("slow", slow.size))


def _loaded(path):
    """Return the program, or skip where no reader has all that the file uses; tests/test_*_zoo.py say which these are."""
    try:
        return edgebn.load(path, input_shape=OPEN_SHAPES.get(path.stem))
    except EdgebnError as error:
        pytest.skip(str(error))


def _sample(program):
    """Return one input of a network that has one, else None: the self-test then draws its own."""
    if len(program.inputs) > 1:
        return None
    buffer = program.buffers[program.inputs[0]]
    rng = np.random.default_rng(11)
    if buffer.dtype == "float32":
        return rng.uniform(-1, 1, (1, *buffer.shape)).astype(np.float32)
    limits = np.iinfo(buffer.dtype)
    return rng.integers(limits.min, limits.max + 1, (1, *buffer.shape)).astype(buffer.dtype)


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
@pytest.mark.parametrize("path", [path for path in FILES if TEST_ALL or path.stem in FEW], ids=lambda path: path.stem)
def test_every_output_byte(path, board, tmp_path):
    program = _loaded(path)
    edgebn.save(program, tmp_path / "saved.edgebn")
    program = edgebn.load(tmp_path / "saved.edgebn")
    if board != "host" and edgebn.analyze(program).weight_bytes > MAX_WEIGHT_BYTES:
        pytest.skip(f"its weights alone fill the {MAX_WEIGHT_BYTES} bytes of the board's flash")
    _, said = emitted.check(
        program, tmp_path / "out", board, _sample(program), trace=path.stem in FEW, pools=_pools(program, board)
    )
    assert said.vectors > 0
