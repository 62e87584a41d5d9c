"""Inputs of a wrong scale are noticed, and right ones never: on the shipped network and on real ones with real and spoilt data."""

import warnings

import numpy as np
import pytest

import edgebn
from edgebn import reference
from edgebn.errors import InputRangeWarning
from edgebn.passes.quantization.input_range import doubt
from tests.demo_model import DATA

KINDS = ("float32", "int8")


def said(program, values):
    return doubt(program, program.inputs[0], np.asarray(values, np.float32), reference.run)


@pytest.fixture(scope="module")
def demo():
    model, data = edgebn.load(DATA / "fashion_mnist.keras"), np.load(DATA / "fashion_mnist_slice.npz")
    int8 = edgebn.quantize(model, data["calibration"] / np.float32(255))
    return {"float32": model, "int8": int8}, data["images"]


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_where_0_to_1_is_expected(demo, kind):
    programs, images = demo
    text = said(programs[kind], images)
    assert "from 0 to 255" in text
    assert "--scale 1/255 " in text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimmed", [1.0, 0.5, 0.2])
def test_right_inputs_are_not_doubted(demo, kind, dimmed):
    programs, images = demo
    assert said(programs[kind], images / 255 * dimmed) is None
    assert not any(said(programs[kind], image[None] / 255 * dimmed) for image in images[:50])


@pytest.mark.parametrize("kind", KINDS)
def test_far_too_small(demo, kind):
    programs, images = demo
    assert said(programs[kind], images / 255 / 255) is not None


def test_one_value_only_says_nothing(demo):
    programs, images = demo
    assert all(said(program, np.zeros_like(images[:3])) is None for program in programs.values())


def test_quantize_warns(demo):
    programs, images = demo
    with pytest.warns(InputRangeWarning, match="fashion_mnist.keras: the inputs go from 0 to 255"):
        edgebn.quantize(programs["float32"], images[:32])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edgebn.quantize(programs["float32"], images[:32] / np.float32(255))


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
