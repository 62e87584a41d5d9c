"""Settings of Keras layers: truth values that some tools write as 1 and 0, and the hints for classes that are refused."""

import json
import zipfile

import numpy as np
import pytest

pytest.importorskip("h5py", reason="h5py is not installed")

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats import keras
from edgebn.formats.keras.own_classes import OWN_CLASSES
from edgebn.formats.keras.table import LAYERS, RANDOM
from tests.conftest import RECORDED
from tests.formats.keras.keras_maker import computed, entry, keras3_operation, sequential, write_h5

ARCHIVES = sorted(RECORDED.glob("keras_[zo]*/*.keras"))
CUSTOM = {"BNLayer": "BatchNormalization"}


def as_numbers(value):
    """Write 1 and 0 for true and false, everywhere."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dict):
        return {key: as_numbers(item) for key, item in value.items()}
    return [as_numbers(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_flags_may_be_written_as_numbers(path, tmp_path):
    """Every recorded model with all its flags as numbers computes what it did; the flags of every layer that has some are there."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(held["config.json"])
    held["config.json"] = json.dumps(as_numbers(config)).encode()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data)
    x = np.random.default_rng(3).normal(0, 1, (2, *keras.read(path, custom_layers=CUSTOM).tensors[first_input(path)].shape))
    both = [computed(file, x.astype(np.float32), custom_layers=CUSTOM) for file in (path, tmp_path / "m.keras")]
    np.testing.assert_array_equal(*both)


def first_input(path):
    return keras.read(path, custom_layers=CUSTOM).inputs[0]


FLAGS = {
    ("Conv2D", "use_bias"),
    ("DepthwiseConv2D", "use_bias"),
    ("SeparableConv2D", "use_bias"),
    ("Conv2DTranspose", "use_bias"),
    ("Dense", "use_bias"),
    ("BatchNormalization", "center"),
    ("BatchNormalization", "scale"),
    ("GlobalAveragePooling2D", "keepdims"),
    ("Mean", "keepdims"),
    ("Max", "keepdims"),
}


def test_the_recorded_models_hold_every_flag_in_both_states():
    found = {}

    def collect(config):
        for layer in config.get("layers", []):
            for key, value in layer["config"].items():
                if isinstance(value, bool):
                    found.setdefault((layer["class_name"], key), set()).add(value)
            collect(layer["config"])

    for path in ARCHIVES:
        with zipfile.ZipFile(path) as archive:
            collect(json.loads(archive.read("config.json"))["config"])
    missing = {flag for flag in FLAGS if found.get(flag) != {False, True}}
    assert missing == {("DepthwiseConv2D", "use_bias")} or not missing


@pytest.mark.parametrize("value", [0, 1, False, True, 1.0])
@pytest.mark.parametrize(
    ("class_name", "key", "config"),
    [("Dense", "use_bias", {"units": 2}), ("BatchNormalization", "scale", {}), ("BatchNormalization", "center", {})],
)
def test_weights_follow_the_flags(tmp_path, class_name, key, config, value):
    arrays = [np.full((2, 2), 0.5, np.float32)] if class_name == "Dense" else []
    arrays += [np.array([3, 4], np.float32)] * bool(value)
    arrays += [np.array([1, 2], np.float32)] * (3 if class_name == "BatchNormalization" else 0)
    model = sequential((2,), entry(class_name, "layer", **config, **{key: value}))
    x = np.float32([[1, 3]])
    got = computed(write_h5(tmp_path / "m.h5", model, {"layer": arrays}), x)
    model = sequential((2,), entry(class_name, "layer", **config, **{key: bool(value)}))
    np.testing.assert_array_equal(got, computed(write_h5(tmp_path / "n.h5", model, {"layer": arrays}), x))


@pytest.mark.parametrize("value", ["true", "no", 2, -1, 0.5, [1], {}])
def test_flags_that_are_neither_are_refused(tmp_path, value):
    layer = entry("BatchNormalization", "bn", scale=value)
    with pytest.raises(ModelError, match=r"layer 'bn' \(BatchNormalization\): its 'scale' is .*; it should be true or false"):
        keras.read(write_h5(tmp_path / "m.h5", sequential((2,), layer)))
    outer = sequential((2,), {**sequential((2,), layer), "config": {**sequential((2,), layer)["config"], "name": "inner"}})
    with pytest.raises(ModelError, match=r"layer 'bn' \(BatchNormalization\): its 'scale' is"):
        keras.read(write_h5(tmp_path / "m.h5", outer))


# Hints -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_name", sorted(OWN_CLASSES))
def test_keras_own_classes_are_not_taken_for_the_users(tmp_path, class_name):
    assert class_name not in LAYERS
    path = write_h5(tmp_path / "m.h5", sequential((4, 4, 3), entry(class_name, "layer")))
    with pytest.raises(UnsupportedLayerError) as caught:
        keras.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: layer 'layer' ({class_name}): edgebn does not run this layer: ")
    assert "custom_layers" not in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200


def test_a_users_own_class_is_told_how_to_map_it(tmp_path):
    path = write_h5(tmp_path / "m.h5", sequential((4,), entry("house>Magic", "layer")))
    with pytest.raises(UnsupportedLayerError, match=r"custom_layers=\{\"Magic\": \"BatchNormalization\"\}"):
        keras.read(path)


def test_an_operation_that_is_refused_names_the_page(tmp_path):
    model = sequential((4,), {**keras3_operation("Cumprod", "cumprod"), "module": "keras.src.ops.math"})
    with pytest.raises(
        UnsupportedLayerError, match=r"layer 'cumprod' \(Cumprod\): edgebn does not run this operation; .*docs/formats\.md"
    ):
        keras.read(write_h5(tmp_path / "m.h5", model))


@pytest.mark.parametrize("class_name", RANDOM)
def test_what_only_training_changes_does_nothing(tmp_path, class_name):
    x = np.random.default_rng(0).uniform(-50, 300, (2, 4, 4, 3)).astype(np.float32)
    got = computed(write_h5(tmp_path / "m.h5", sequential((4, 4, 3), entry(class_name, "layer"))), x)
    np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize(("height", "width"), [(4, 5), (3, 2), (1, 1), (2, 5)])
@pytest.mark.parametrize("first", [False, True])
def test_center_crop(tmp_path, height, width, first):
    x = np.random.default_rng(0).normal(0, 1, (2, 4, 5, 3)).astype(np.float32)
    layout = {"data_format": "channels_first" if first else "channels_last"}
    stack = [
        entry("CenterCrop", "crop", height=height, width=width, **layout),
        entry("MaxPooling2D", "same", pool_size=1, **layout),
    ]
    got = computed(write_h5(tmp_path / "m.h5", sequential((3, 4, 5) if first else (4, 5, 3), *stack)), x)
    top, left = (4 - height) // 2, (5 - width) // 2
    np.testing.assert_array_equal(got, x[:, top : top + height, left : left + width])


def test_a_center_crop_that_would_resize_is_refused(tmp_path):
    layer = entry("CenterCrop", "crop", height=6, width=3)
    with pytest.raises(UnsupportedLayerError, match="which would resize it; resize the input before the network"):
        keras.read(write_h5(tmp_path / "m.h5", sequential((4, 5, 3), layer)))
