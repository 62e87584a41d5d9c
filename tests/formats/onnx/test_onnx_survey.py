"""Every operator of ONNX in opsets 9 to 21 with odd options: what onnxruntime runs gives its numbers here, or is on the list below.

Real numbers are within 1e-5 of the output's range, codes equal but for some that are one off. `make test` takes one case of twenty.

    python -m tests.formats.onnx.test_onnx_survey       # the table: what is wrong, refused though onnxruntime runs it, and how many
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

import onnxruntime
from onnx import helper

from edgebn import EdgebnError
from tests.conftest import TEST_ALL
from tests.formats.onnx.onnx_backend import EdgebnRep, reference_engine
from tests.formats.onnx.onnx_survey import FAMILIES, OPSETS

STEP = 1 if TEST_ALL else 20
TOLERANCE = 1e-5  # of the output's range
MAX_ONE_OFF = 0.01  # of the codes of an output

# What is refused though onnxruntime runs it, by the case's name, and words that our refusal holds.
REFUSED = {r"MeanVarianceNormalization \(1, 6\).*": "single numbers"}


def outcome(case) -> str:
    """Return 'right', 'no peer', 'refused: ...' or 'wrong: ...'."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        session = onnxruntime.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        expected = session.run(None, {"x": case.x})
    except Exception:  # noqa: BLE001  # onnxruntime has no class of its own for all that it refuses
        return "no peer"
    for entry, array in zip(case.model.graph.output, expected, strict=True):
        entry.CopyFrom(helper.make_tensor_value_info(entry.name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape))
    try:
        results = EdgebnRep(case.model, reference_engine).run([case.x])
    except EdgebnError as error:
        return f"refused: {error}"
    found = [difference(case, *pair) for pair in zip(results, expected, strict=True)]
    return f"wrong: {found}" if any(found) else "right"


def difference(case, ours: np.ndarray, theirs: np.ndarray) -> str:
    """Say what is wrong with a result; nothing where it is right."""
    if ours.shape != theirs.shape:
        return f"shape {ours.shape}, not {theirs.shape}"
    if theirs.dtype.kind in "biu":
        return "" if np.array_equal(ours, theirs) else "other whole numbers"
    finite = np.isfinite(theirs)
    with np.errstate(invalid="ignore"):
        apart = np.abs(ours.astype(np.float64) - theirs)[finite]
    if not np.array_equal(np.isfinite(ours), finite):
        return "other numbers are finite"
    if case.step:
        steps = np.rint(apart / case.step)
        return (
            ""
            if steps.max(initial=0) <= 1 and (steps > 0).mean() <= MAX_ONE_OFF
            else f"{(steps > 0).mean():.2g} of the codes differ"
        )
    error = apart.max(initial=0) / (2 * np.abs(theirs[finite]).max(initial=1e-3))
    return "" if error <= TOLERANCE else f"off by {error:.2g} of the range"


def refusal(name: str) -> str | None:
    """Return the words that a case's refusal holds; None where it must run."""
    return next((words for pattern, words in REFUSED.items() if re.match(pattern, name)), None)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore")  # numbers overflow, as they do in onnxruntime
def test_what_onnxruntime_runs(family):
    cases = [case for opset in OPSETS for case in FAMILIES[family](opset)]
    assert len({case.name for case in cases}) == len(cases)
    counts: Counter[str] = Counter()
    listed: Counter[str] = Counter()
    wrong = []
    for case in cases[::STEP]:
        found, words = outcome(case), refusal(case.name)
        counts[found.split(":")[0]] += 1
        if found.startswith("wrong") or (found.startswith("refused") and not (words and re.search(words, found))):
            wrong.append(f"{case.name}: {found}")
        elif words:
            listed[words] += found.startswith("refused")
    print(family, dict(counts))
    assert not wrong, "\n".join(wrong)
    assert counts["right"] > counts["no peer"]
    assert not TEST_ALL or all(listed.values()), f"nothing is refused any more that this row is of: {listed}"


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    rows = [(outcome(case), case.name) for make in FAMILIES.values() for opset in OPSETS for case in make(opset)]
    for said, name in sorted(rows, key=lambda row: (not row[0].startswith("wrong"), not row[0].startswith("refused"))):
        if said.startswith(("wrong", "refused")):
            print(f"{name}\t{said}")
    print(dict(Counter(said.split(":")[0] for said, _ in rows)))
