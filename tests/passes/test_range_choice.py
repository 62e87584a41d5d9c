"""Which ranges quantisation takes where no method is named: those that leave the outputs nearer to float32."""

import numpy as np
import pytest

import edgebn
from edgebn.graph import GraphBuilder
from edgebn.layers import Activation, Convolution, Reduce
from edgebn.passes import lower
from edgebn.passes.quantization import calibration, range_choice

SHAPE = (8, 8, 4)


def network(function: str):
    """A projection, a function of it, and the largest or mean of each column."""
    rng = np.random.default_rng(1)
    build = GraphBuilder("net", "net", "test")
    build.add_input("x", SHAPE)
    weight = rng.normal(0, 1, (6, 1, 1, 4)).astype(np.float32)
    build.add(Convolution("conv", ("x",), "c", weight=weight))
    build.add(Activation("function", ("c",), "f", function=function, low=0.0))
    build.add(Reduce("largest", ("f",), "y", function="max" if function == "square" else "mean", axes=(0,)))
    return lower(build.finish(["y"]))


def samples(count: int):
    """Values of which few are much larger than the rest."""
    rng = np.random.default_rng(2)
    x = rng.normal(0, 0.3, (count, *SHAPE))
    return (x * np.where(rng.random((count, 8, 8, 1)) < 0.02, 12, 1)).astype(np.float32)


def ratio(program, int8, x) -> float:
    wanted, found = (edgebn.Session(one).run(x).astype(np.float64) for one in (program, int8))
    return float(10 * np.log10((wanted**2).sum() / ((wanted - found) ** 2).sum()))


@pytest.mark.parametrize(("function", "best"), [("square", "minmax"), ("clip", "mse")])
def test_the_nearer_ranges_are_taken(function, best, monkeypatch):
    """Rare values that a square and a maximum pass on must not be clipped; a mean hardly knows them."""
    program, x = network(function), samples(32)
    monkeypatch.setattr(calibration, "MANY", len(x))  # of fewer, minmax's are widened: test_expected_ranges.py
    by_method = {method: edgebn.quantize(program, x, method=method) for method in ("mse", "minmax")}
    ratios = {method: ratio(program, int8, x) for method, int8 in by_method.items()}
    other = {"mse": "minmax", "minmax": "mse"}[best]
    assert ratios[best] > ratios[other]
    chosen = edgebn.quantize(program, x)
    assert {name: buffer.scale for name, buffer in chosen.buffers.items()} == {
        name: buffer.scale for name, buffer in by_method[best].buffers.items()
    }


@pytest.mark.parametrize(
    ("widest", "best"), [({"a": 16, "b": 16}, "mse"), ({"a": 16, "b": 20}, "minmax"), ({"a": 15, "b": 30}, "mse")]
)
def test_the_worst_outputs_gain_is_not_the_others_greater_loss(widest, best, monkeypatch):
    """The first ranges leave one output at 15 dB and the other at 20."""
    build = GraphBuilder("net", "net", "test")
    build.add_input("x", SHAPE)
    for name in ("a", "b"):
        weight = np.random.default_rng(1).normal(0, 1, (6, 1, 1, 4)).astype(np.float32)
        build.add(Convolution(f"{name}conv", ("x",), name, weight=weight))
    program, x = lower(build.finish(["a", "b"])), samples(32)
    by_method = {method: edgebn.quantize(program, x, method=method) for method in ("mse", "minmax")}
    wanted = edgebn.Session(program).run_buffers({"x": x[:16]})
    noisy = iter([{"a": 15, "b": 20}, widest])

    def outputs(*_):
        return {name: wanted[name].astype(np.float64) * (1 + 10 ** (-db / 20)) for name, db in next(noisy).items()}

    monkeypatch.setattr(calibration, "MANY", len(x))
    monkeypatch.setattr(range_choice, "_outputs", outputs)
    chosen = edgebn.quantize(program, x)
    assert {name: buffer.scale for name, buffer in chosen.buffers.items()} == {
        name: buffer.scale for name, buffer in by_method[best].buffers.items()
    }
