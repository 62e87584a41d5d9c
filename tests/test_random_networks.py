"""Random networks held against onnxruntime, in float32 and through its quantiser: no crash, no other shape, nothing far off.

The generator, the rules of judging and the command that shrinks a failing seed are in `random_networks/`.
"""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from edgebn.formats.onnx.static import STATIC  # noqa: E402
from edgebn.formats.onnx.table import OPERATORS  # noqa: E402
from tests.random_networks import checking, run  # noqa: E402
from tests.random_networks.checking import Outcome  # noqa: E402
from tests.random_networks.networks import draw  # noqa: E402
from tests.random_networks.quantizing import draw_settings, quantized  # noqa: E402
from tests.random_networks.shrinking import listing, shrink  # noqa: E402

SEARCHED = 2000  # networks in which every operator is looked for; a few hundred suffice
UNDRAWN = {"QLinearReduceMean"}  # no quantiser writes it and onnxruntime has no kernel for it


def test_every_operator_of_the_reader_is_drawn():
    missing = (set(OPERATORS) | set(STATIC)) - UNDRAWN
    for seed in range(SEARCHED):
        missing -= {node.op_type for node in draw(seed).model.graph.node}
        if seed % 4 == 0 and any(name.startswith("Q") for name in missing):
            network = draw(seed, "quantized")
            try:
                model = quantized(network.model, network.calibration, draw_settings(seed))
            except Exception:  # noqa: BLE001, S112  # what onnxruntime's quantiser does not take
                continue
            missing -= {node.op_type for node in model.graph.node}
        if not missing:
            break
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


def first_with(op: str):
    return next(network for network in map(draw, range(SEARCHED)) if op in operators(network) and len(operators(network)) > 5)


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
