"""Observers against NumPy on the whole data, and every kind of calibration data that must be refused."""

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn.errors import QuantizationError
from edgebn.passes.quantization import calibration
from edgebn.passes.quantization.calibration import Observer, channel_sizes, length, observe
from tests.demo_model import DATA


def relu_program():
    buffers = {name: p.Buffer(name, (1, 1, 3)) for name in ("x", "y")}
    steps = (p.Elementwise("relu", ("x",), "y", "clip", 0.0),)
    return p.Program("m", "m.keras", "keras", False, buffers, {}, steps, ("x",), ("y",), {"x": (3,), "y": (3,)})


def run_relu(batch):
    x = batch["x"].reshape(-1, 1, 1, 3)
    return {"x": x, "y": np.maximum(x, 0)}


def skewed(count=6000, seed=0):
    return (np.random.default_rng(seed).standard_exponential((count, 3)) - 0.3).astype(np.float32)


def test_extremes_and_means_are_numpys():
    x = skewed()
    seen = observe(relu_program(), run_relu, x)
    assert seen["x"].range("minmax") == (x.min(), x.max())
    assert seen["y"].range("minmax") == (0.0, x.max())
    np.testing.assert_allclose(seen["x"].channel_mean(), x.mean(axis=0, dtype=np.float64), rtol=1e-6)
    sizes = channel_sizes(relu_program(), run_relu, x)
    np.testing.assert_allclose(sizes["x"], np.abs(x).sum(axis=0), rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_percentile_is_numpys_to_a_bin(scale):
    x = skewed() * np.float32(scale)
    low, high = observe(relu_program(), run_relu, x)["x"].range("percentile")
    assert high == pytest.approx(
        np.percentile(x[x > 0], 99.99, method="inverted_cdf"), abs=2 * float(np.abs(x).max()) / calibration.HALF_BINS
    )
    assert low == pytest.approx(x.min(), abs=2 * float(np.abs(x).max()) / calibration.HALF_BINS)


def test_least_squares_clips_an_outlier_and_beats_the_extremes():
    x = np.random.default_rng(1).normal(size=(99_999, 3)).astype(np.float32)
    x[0, 0] = 12.0

    def error(low, high):
        step = (high - low) / 255
        start = np.rint(low / step)
        return ((np.clip(np.rint(x / step), start, start + 255) * step - x) ** 2).sum()

    seen = observe(relu_program(), run_relu, x)["x"]
    low, high = seen.range("mse")
    assert high < 9.0
    assert error(low, high) < 0.8 * error(*seen.range("minmax"))


@pytest.mark.parametrize("method", calibration.METHODS)
def test_pieces_give_what_the_whole_gives(method):
    x = skewed(640)
    x[100:] *= 9  # the histogram has to grow
    whole = observe(relu_program(), run_relu, x)
    pieces = observe(relu_program(), run_relu, (x[i : i + 50] for i in range(0, 640, 50)))
    np.testing.assert_array_equal(whole["x"].counts, pieces["x"].counts)
    assert whole["y"].range(method) == pieces["y"].range(method)


def test_all_zero_values_have_an_empty_range():
    observer = Observer()
    observer.see(np.zeros((4, 1, 1, 2), np.float32))
    assert [observer.range(method) for method in calibration.METHODS] == [(0.0, 0.0)] * 3


def test_progress_counts_samples():
    calls = []
    observe(relu_program(), run_relu, skewed(70), progress=calls.append)
    assert calls == [32, 32, 6]
    calls.clear()
    observe(relu_program(), run_relu, iter([skewed(5), skewed(6)]), progress=calls.append)
    assert calls == [5, 6]
    assert [length(data, relu_program()) for data in (skewed(70), {"x": skewed(5)}, iter([]))] == [70, 5, None]


BAD = {
    "empty array": (np.zeros((0, 3)), "empty"),
    "empty iterable": ([], "empty"),
    "wrong shape": (np.zeros((5, 4)), r"\(N, 3\)"),
    "no batch axis": (np.zeros(3), r"\(N, 3\)"),
    "NaN": (np.full((2, 3), np.nan), "NaN or infinite"),
    "infinite": (np.full((2, 3), np.inf), "NaN or infinite"),
    "beyond float32": (np.full((2, 3), 1e300), "NaN or infinite"),
    "text": (np.array([["a", "b", "c"]]), "real numbers"),
    "a word": ("images", "real numbers"),
    "a number": (3, "array of shape"),
    "other input": ({"z": np.zeros((2, 3))}, "lacks the input 'x'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_in_one_sentence(case):
    data, message = BAD[case]
    with pytest.raises(QuantizationError, match=message) as error:
        observe(relu_program(), run_relu, data)
    assert "m.keras" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_layer_that_overflows_is_named():
    def overflowing(batch):
        return {**run_relu(batch), "y": np.full((len(batch["x"]), 1, 1, 3), np.inf, np.float32)}

    with pytest.raises(QuantizationError, match="'y' becomes NaN or infinite"):
        observe(relu_program(), overflowing, skewed(4))


def test_codes_are_no_calibration_for_a_float32_model():
    codes = np.zeros((4, 28, 28, 1), np.int8)
    with pytest.raises(QuantizationError, match="give real numbers"):
        edgebn.quantize(edgebn.load(DATA / "fashion_mnist.keras"), codes)
