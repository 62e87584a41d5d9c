"""How far values of samples yet unseen go: against such samples, and never beyond what a step can make."""

import numpy as np
import pytest

import edgebn
from edgebn.graph import GraphBuilder
from edgebn.layers import Activation, Convolution
from edgebn.passes import lower
from edgebn.passes.quantization.calibration import MANY, Observer, observe
from edgebn.passes.quantization.expected_ranges import expected_ranges


def seen(values) -> Observer:
    observer = Observer()
    observer.see(np.asarray(values, np.float32).reshape(len(values), 1, 1, -1))
    return observer


@pytest.mark.parametrize("count", [8, 32])
def test_about_one_sample_in_many_goes_further(count):
    """Drawn from Gumbel's distribution; the extremes of so few are passed by one in count + 1."""
    rng = np.random.default_rng(0)
    passed = []
    for _ in range(400):
        observer = seen(rng.gumbel(5.0, 1.0, count))
        unseen = rng.gumbel(5.0, 1.0, 500)
        passed.append([np.mean(unseen > end) for end in (observer.expected()[1], observer.range("minmax")[1])])
    expected, extreme = np.mean(passed, axis=0)
    assert extreme > 0.8 / (count + 1)
    assert 0.3 / MANY < expected < 3.0 / MANY


@pytest.mark.parametrize("count", [1, MANY])
def test_of_one_sample_or_of_many_the_extremes_are_kept(count):
    observer = seen(np.random.default_rng(1).normal(size=count))
    assert observer.expected() == observer.range("minmax")


def test_batches_make_no_difference():
    values = np.random.default_rng(2).normal(size=(20, 5)).astype(np.float32)
    parts = Observer()
    for part in (values[:7], values[7:]):
        parts.see(part.reshape(len(part), 1, 1, -1))
    np.testing.assert_allclose(parts.expected(), seen(values).expected(), rtol=1e-9)


@pytest.mark.parametrize("size", [1, 4])
def test_no_value_is_expected_where_its_step_makes_none(size):
    """And maps, of which one sample shows many values, stay as they were seen."""
    rng = np.random.default_rng(3)
    build = GraphBuilder("net", "net", "test")
    build.add_input("x", (size, size, 3))
    build.add(Convolution("conv", ("x",), "c", weight=rng.normal(0, 2, (5, 1, 1, 3)).astype(np.float32)))
    build.add(Activation("gate", ("c",), "g", function="hard_sigmoid", alpha=0.2, beta=0.5))
    build.add(Activation("cut", ("c",), "r", function="clip", low=0.0, high=6.0))
    program = lower(build.finish(["g", "r"]))
    x = (rng.normal(size=(6, size, size, 3)) * np.linspace(1, 4, 6)[:, None, None, None]).astype(np.float32)
    observers = observe(program, edgebn.Session(program).run_buffers, x)
    found = expected_ranges(program, observers)
    assert found["x"] == observers["x"].range("minmax")
    if size > 1:
        assert found == {name: seen.range("minmax") for name, seen in observers.items()}
        return
    convolved = next(step.output for step in program.steps if step.name == "conv")
    assert found[convolved][1] > observers[convolved].high
    assert found["g"] == (0.0, 1.0)
    assert found["r"] == (0.0, 6.0)
