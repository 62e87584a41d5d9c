"""Random networks held against onnxruntime, in float32 and through its quantiser: no crash, no other shape, nothing far off.

The generator, the rules of judging and the command that shrinks a failing seed are in `random_networks/`.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from edgebn.formats.onnx.static import STATIC  # noqa: E402
from edgebn.formats.onnx.table import OPERATORS  # noqa: E402
from tests.conftest import TEST_ALL  # noqa: E402
from tests.random_networks import checking, run  # noqa: E402
from tests.random_networks.checking import Outcome  # noqa: E402
from tests.random_networks.constants import WAYS  # noqa: E402
from tests.random_networks.drawing import Drawing, NotDrawnError  # noqa: E402
from tests.random_networks.networks import SAMPLES, Network, draw  # noqa: E402
from tests.random_networks.operators import TABLE  # noqa: E402
from tests.random_networks.quantizing import draw_settings, quantized  # noqa: E402
from tests.random_networks.shrinking import listing, shrink  # noqa: E402

TRIES = 1000  # draws in which a row shows all that it makes, networks in which an operator is looked for
OPSETS = (9, 10, 12, 13, 14, 17, 18, 21, 24)
ONCE_WRONG = Path(__file__).parent / "recorded" / "random_networks"
NETWORKS = 5000 if TEST_ALL else 200
MAX_REFUSED = {
    "float": 0.005,
    "quantized": 0.01,
    "stateful": 0.02,
    "int16": 0.02,
}  # of what onnxruntime runs; to be lowered as operators are added
# No quantiser writes the first, and onnxruntime has no kernel for it; at the steps of the others roundings become whole numbers.
# How many rows there are of the last only a run tells: tests/formats/test_non_max_suppression.py.
UNDRAWN = {"QLinearReduceMean", "Ceil", "Floor", "Round", "Sign", "ThresholdedRelu", "NonMaxSuppression"}
# Constant places are of a number of samples, and what is drawn runs with any: tests/formats/onnx/onnx_cases.py.
UNDRAWN |= {"GatherElements", "ScatterElements", "ScatterND"}
# Of matrices, of numbers that no network here makes, and of places between -1 and 1: tests/formats/onnx/onnx_survey.py.
UNDRAWN |= {"GridSample", "IsInf", "IsNaN", "Trilu"}
# Rare, and of several layers each that are drawn: tests/formats/onnx/onnx_survey.py, onnx_cases.py and test_onnx_backend.py.
UNDRAWN |= {
    *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Sinh", "Tan", "Shrink", "Hardmax", "MeanVarianceNormalization"),
    *("LpPool", "GlobalLpPool", "Col2Im"),
}
# Of rows whose number only a run tells: tests/formats/test_non_max_suppression.py.
UNDRAWN |= {"NonZero", "OneHot", "MaxUnpool"}
# onnxruntime rounds what enters it, by more than is held here: tests/formats/onnx/test_onnx_recurrent.py.
UNDRAWN |= {"DynamicQuantizeLSTM"}
# Only onnxruntime's optimiser writes them: tests/formats/onnx/test_onnx_optimised.py.
UNDRAWN |= {
    *("BiasGelu", "FastGelu", "QuickGelu", "FusedConv", "FusedGemm", "FusedMatMul", "NhwcMaxPool"),
    *("SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
}
ONLY_FOLDED = {"CumSum", "Not"}  # of constants: tests/formats/onnx/onnx_cases.py


def drawn_by(row) -> set[str]:
    """Return the operators that a row made in as many draws as it needs to make all that it says."""
    rng = np.random.default_rng(0)
    made: set[str] = set()
    opsets = [opset for opset in OPSETS if row.since <= opset <= row.until]
    for count in range(TRIES):
        net = Drawing(rng, opsets[count % len(opsets)], (None, 1)[count % 2], computes=count % 3 == 0)
        x = net.add_input(net.pick(((6,), (4, 6), (4, 6, 6), (4, 6, 6), (4, 2, 3, 2), (1, 4, 6))))
        try:
            row.draw(net, x)
        except NotDrawnError:
            continue
        made |= {node.op_type for node in net.nodes}
        if made >= set(row.makes):
            break
    return made


@pytest.mark.parametrize("row", TABLE, ids=lambda row: "-".join(row.makes))
def test_a_row_draws_what_it_says(row):
    assert set(row.makes) <= drawn_by(row)


@pytest.mark.parametrize("op", sorted(WAYS))
def test_constants_are_computed_in_every_way(op):
    net = Drawing(np.random.default_rng(0), 13, 1)
    for array in (net.uniform(0.5, 1.5, 4), net.normal(2, 4), net.normal(1, 4)):
        try:
            name = WAYS[op](net, array)
        except NotDrawnError:
            continue
        x = net.add_input((2, 4))
        model = net.model([net.node("Mul", x, name)])
        assert op in [node.op_type for node in model.graph.node]
        samples = {x: net.normal(4, 2, 4)}
        assert checking.check_float(Network(0, model, samples, samples)).verdict == "passed"
        return
    pytest.fail(f"no array is made by {op}")


def test_every_operator_of_the_reader_is_drawn():
    missing = (set(OPERATORS) | set(STATIC)) - UNDRAWN - ONLY_FOLDED - set(WAYS) - {"Constant"}
    missing -= {op for row in TABLE for op in row.makes}
    for seed in range(TRIES):
        if not missing:
            break
        network = draw(seed, "quantized")
        with contextlib.suppress(Exception):  # what onnxruntime's quantiser does not take
            missing -= {node.op_type for node in quantized(network.model, network.calibration, draw_settings(seed)).graph.node}
    assert not missing, f"no row of random_networks/operators.py draws {sorted(missing)}"


@pytest.mark.parametrize("kind", run.KINDS)
def test_a_seed_is_a_network(kind):
    for seed in range(20):
        first, again = draw(seed, kind), draw(seed, kind)
        assert first.model.SerializeToString() == again.model.SerializeToString()
        assert all(np.array_equal(first.samples[name], again.samples[name]) for name in first.samples)
    assert draw(0, kind).model != draw(1, kind).model


def test_wrong_numbers_and_shapes_are_found(monkeypatch):
    right = checking.run_edgebn
    changes = {
        "far": lambda array: array + 3e-5 * checking.extent(array),
        "shape": lambda array: array[..., np.newaxis],
        "crashed": lambda array: array.nonsense,
    }
    network = draw(0)
    assert checking.check_float(network).verdict == "passed"
    for verdict, change in changes.items():
        changed = lambda *given, change=change: {name: change(array) for name, array in right(*given).items()}  # noqa: E731
        monkeypatch.setattr(checking, "run_edgebn", changed)
        assert checking.check_float(network).verdict == verdict


def test_states_that_are_forgotten_are_found(monkeypatch):
    right = checking.run_edgebn

    def forgetful(model, samples, states):
        alone = [{name: array[[place]] for name, array in samples.items()} for place in range(SAMPLES)]
        runs = [right(model, sample, states) for sample in alone]
        return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}

    network = draw(0, "stateful")
    assert checking.check_float(network).verdict == "passed"
    monkeypatch.setattr(checking, "run_edgebn", forgetful)
    assert checking.check_float(network).verdict == "far"


def first_with(op: str):
    return next(network for network in map(draw, range(TRIES)) if op in operators(network) and len(operators(network)) > 5)


def operators(network) -> list[str]:
    return [node.op_type for node in network.model.graph.node]


@pytest.mark.parametrize("op", ["Softmax", "Conv", "LeakyRelu"])
def test_shrinking_leaves_what_fails(op):
    network = first_with(op)
    smallest = shrink(network, lambda network: Outcome("far" if op in operators(network) else "passed"))
    assert [name for name in operators(smallest) if name != "Constant"] == [op]
    assert op in listing(smallest)


def test_reasons_are_the_same_words_for_the_same_reason():
    one = "a random network: layer 'slice_7' (Slice): its steps are (1, 2); edgebn slices with steps of 1 (a crop)"
    other = "a random network: layer 'slice_13' (Slice): its steps are (2,); edgebn slices with steps of 1 (a crop)"
    assert run.reason_of(one) == run.reason_of(other) == "layer # (Slice): its steps are #; edgebn slices with steps of # (a crop)"


@pytest.mark.parametrize("kind", run.KINDS)
def test_random_networks(kind):
    networks = NETWORKS // 4 if kind in ("stateful", "int16") else NETWORKS  # whose rows are those of the others
    tally = run.examine(kind, range(networks))
    table = "\n".join(tally.lines())
    assert not tally.faults, f"see random_networks/run.py --kind {kind} --shrink: {tally.faults}\n{table}"
    assert tally.refused_share <= MAX_REFUSED[kind], table
    assert tally.verdicts["passed"] >= 0.8 * networks, table


@pytest.mark.parametrize("path", sorted(ONCE_WRONG.glob("*.onnx")), ids=lambda path: path.stem)
def test_quantised_networks_that_once_came_out_wrong(path):
    """As they were drawn and quantised then: another drawer changes what every seed draws.

    Codes of a bias, a softmax that layers behind it magnified, an output cut off from the convolution that says its layout, a
    linear Resize of codes that onnxruntime truncates, a softmax whose codes were given a finer scale.
    """
    with np.load(path.with_suffix(".npz")) as samples:
        outcome = checking.check_codes(onnx.load(path), dict(samples), int(path.stem))
    assert outcome.verdict == "passed", outcome
