"""Inputs of a wrong scale are noticed, and right ones never: on the shipped network and on real ones with real and spoilt data."""

import warnings

import numpy as np
import pytest

import edgebn
from edgebn import reference
from edgebn.errors import InputRangeWarning
from edgebn.passes.quantization.input_range import doubt

KINDS = ("float32", "int8")


def said(program, values):
    return doubt(program, program.inputs[0], np.asarray(values, np.float32), reference.run)


def pixels(demo):
    """Return the demo's images in 0..255."""
    return np.rint(demo.images * 255)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_where_0_to_1_is_expected(demo, kind):
    text = said(getattr(demo, kind), pixels(demo))
    assert "from 0 to 255" in text
    assert "--scale 1/255 " in text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimmed", [1.0, 0.5, 0.2])
def test_right_inputs_are_not_doubted(demo, kind, dimmed):
    program = getattr(demo, kind)
    assert said(program, demo.images * dimmed) is None
    assert not any(said(program, image[None] * dimmed) for image in demo.images[:50])


@pytest.mark.parametrize("kind", KINDS)
def test_far_too_small(demo, kind):
    assert said(getattr(demo, kind), demo.images / 255) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_only_says_nothing(demo, kind):
    assert said(getattr(demo, kind), np.zeros_like(demo.images[:3])) is None


def test_quantize_warns(demo):
    with pytest.warns(InputRangeWarning, match="fashion_mnist.keras: the inputs go from 0 to 255"):
        edgebn.quantize(demo.float32, pixels(demo)[:32])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edgebn.quantize(demo.float32, demo.images[:32])


@pytest.mark.parametrize("name", ["resnet8_jpeg.h5", "resnet8_int8.tflite"])
def test_pixels_of_a_network_for_0_to_255(shared_models, shared_data, name):
    program, data = edgebn.load(shared_models / name), np.load(shared_data / "cifar10_dev.npz")
    shifts = [key for key in data.files if key.startswith("x_")]
    assert len(shifts) > 6
    assert [key for key in shifts if said(program, data[key])] == []  # no noise, fog or blur is taken for a wrong scale
    assert "--scale 255 " in said(program, data["x_test"] / 255)
    assert said(program, data["x_test"] / 127.5 - 1) is not None


@pytest.mark.parametrize("name", ["kws.keras", "kws_int8.tflite"])
def test_features_of_sound(shared_models, shared_data, name):
    program = edgebn.load(shared_models / name)
    codes = np.load(shared_data / "kws_dev.npz")["x"].astype(np.float32)
    values = (codes - 83) * np.float32(0.5847029)
    assert not any(said(program, one[None]) for one in values[::20])
    assert said(program, values) is None
    assert said(program, values * 30) is not None
    assert said(program, values / 30) is not None
