"""Every operator of TensorFlow Lite in every type with odd options: what a peer runs gives its numbers, or is on the list below.

int8 and int16 codes are TensorFlow Lite Micro's where it runs a file, else those of LiteRT's reference kernels, as uint8 codes are;
real numbers are within 1e-5 of LiteRT's. Codes leave for codes and real numbers for real numbers. `make test` takes one case of
fifteen.

    python -m tests.formats.tflite.test_tflite_survey       # the table: what is wrong, refused though a peer runs it, and how many
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro is not installed")

from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime

import edgebn
from tests.conftest import TEST_ALL
from tests.formats.tflite.tflite_survey import FAMILIES

ARENA = 1 << 20
STEP = 1 if TEST_ALL else 15
TOLERANCE = 1e-5  # of the output's range

# Which TensorFlow Lite Micro clips between two scales without converting the codes; and of int16 codes it leaves truth unwritten.
AS_LITERT = ("RELU6", "GREATER")

# What is refused though a peer runs it, by the case's name, and words that our refusal holds; above each, why.
REFUSED = {
    # No kernel of ours yet; converters leave a quotient in float32.
    r"DIV .*: (u?int8|int16)": "in float32 only",
    # The codes as they are, whatever their scales; next to multiples only exact rests are right.
    r"FLOOR_(DIV|MOD) .*: (int8|int16)|FLOOR_MOD .*: float32": "divides no codes",
    # The peers differ.
    r"ADD .*[123]\): int32": "fused activation, which TensorFlow Lite Micro overlooks",
    # No network is known that has it.
    r"POW .*'values'.*: int32": "computed by the network",
    # No network is known that has it.
    r"POW .*'constant.*: int32": "has type INT32",
    # Products soon leave 32 bits.
    r"REDUCE_PROD .*: int64": "which edgebn holds in 32 bits",
    # NEG overlooks zero points; the others have no kernel of ours yet.
    r"(REDUCE_PROD|NEG) .*: (int8|int16)|LOG_SOFTMAX .*: u?int8": "leave it out of the quantisation",
    # Cut, not rounded, in float32: no table between whose entries lines run.
    r"SQRT .*: int16": "no int16 form",
    # Along the batch, of one number.
    r"(SOFTMAX|LOG_SOFTMAX|L2_NORMALIZATION) .*\(1,\).*": "is outside the input's shape",
    # An output that depends on nothing; recurrent networks.
    r"ZEROS_LIKE .*|MATRIX_DIAG .*|REVERSE_SEQUENCE .*": "does not run this operator|no operator makes",
    # Both peers join the codes as they are, whatever their scales.
    r"CONCATENATION .*'other scales'\): int16": "refuses",
    # Rows of two axes each.
    r"GATHER \(2, \(1, 4, 2\), 2\): .*": "other elements in each batch",
}


def peers(case) -> tuple[bytes, list[np.ndarray], list[np.ndarray], list[np.ndarray] | None] | None:
    """Return the file with its shapes, inputs, LiteRT's outputs and TensorFlow Lite Micro's; None where LiteRT refuses it."""
    samples = case.samples()
    try:
        interpreter = Interpreter(model_content=case.content(), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
        for index, sample in zip(case.inputs, samples, strict=True):
            interpreter.set_tensor(index, sample)
        interpreter.invoke()
    except (RuntimeError, ValueError):
        return None
    litert = [interpreter.get_tensor(index).copy() for index in case.outputs]
    for index, output in zip(case.outputs, litert, strict=True):
        case.file.tensors[index].shape = list(output.shape)
    content = case.content()
    try:
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=ARENA)
        for place, sample in enumerate(samples):
            interpreter.set_input(sample, place)
        interpreter.invoke()
        micro = [interpreter.get_output(place).copy() for place in range(len(litert))]
    except (RuntimeError, ValueError):
        micro = None
    return content, samples, litert, micro


def difference(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Say what is wrong with a result; nothing where it is right."""
    if theirs.shape[:1] != (1,):  # no batch in the file: a session puts one in front
        theirs = theirs[np.newaxis]
    if ours.shape != theirs.shape:
        return f"shape {ours.shape}, not {theirs.shape}"
    if theirs.dtype == np.float32:
        finite = np.isfinite(theirs)
        scale = 2 * np.abs(theirs[finite]).max(initial=1e-3)
        with np.errstate(invalid="ignore"):
            error = np.abs(ours.astype(np.float64) - theirs)[finite].max(initial=0) / scale
        return "" if error <= TOLERANCE and (np.isfinite(ours) == finite).all() else f"off by {error:.2g} of the range"
    if ours.dtype == np.float32:
        return "real numbers where the file has whole ones"
    wrong = ours.astype(np.int64) != theirs.astype(np.int64)
    return f"{wrong.sum()} of {wrong.size} differ" if wrong.any() else ""


def outcome(case, path) -> str:
    """Return 'right', 'no peer', 'refused: ...' or 'wrong: ...'."""
    if (known := peers(case)) is None:
        return "no peer"
    content, samples, litert, micro = known
    path.write_bytes(content)
    try:
        program = edgebn.load(path)
        result = edgebn.Session(program).run(samples[0] if len(samples) == 1 else dict(zip(program.inputs, samples, strict=True)))
    except edgebn.EdgebnError as error:
        return f"refused: {error}"
    results = [result[name] for name in program.outputs] if isinstance(result, dict) else [result]
    as_litert = micro is None or case.dtype in ("uint8", "float32") or case.kind in AS_LITERT
    expected = litert if as_litert else micro
    found = [difference(*pair) for pair in zip(results, expected, strict=True)]
    return f"wrong: {found}" if any(found) else "right"


def refusal(name: str) -> str | None:
    """Return the words that a case's refusal holds; None where it must run."""
    return next((words for pattern, words in REFUSED.items() if re.match(pattern, name)), None)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore")  # LiteRT warns of its own future
def test_what_a_peer_runs(family, tmp_path):
    cases = list(FAMILIES[family]())
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    counts: Counter[str] = Counter()
    listed: Counter[str] = Counter()
    wrong = []
    for case in cases[::STEP]:
        found, words = outcome(case, tmp_path / "model.tflite"), refusal(case.name)
        counts[found.split(":")[0]] += 1
        if (found.startswith("refused") and not (words and re.search(words, found))) or found.startswith("wrong"):
            wrong.append(f"{case.name}: {found}")
        elif words:
            listed[words] += found.startswith("refused")
    print(family, dict(counts))
    assert not wrong, "\n".join(wrong)
    assert counts["right"] > counts["no peer"] // 2
    assert not TEST_ALL or all(listed.values()), f"nothing is refused any more that this row is of: {listed}"


if __name__ == "__main__":
    import tempfile
    import warnings
    from pathlib import Path

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        rows = [(outcome(case, Path(folder) / "m.tflite"), case.name) for make in FAMILIES.values() for case in make()]
    for said, name in sorted(rows, key=lambda row: (not row[0].startswith("wrong"), not row[0].startswith("refused"))):
        if said.startswith(("wrong", "refused")):
            print(f"{name}\t{said}")
    print(dict(Counter(said.split(":")[0] for said, _ in rows)))
