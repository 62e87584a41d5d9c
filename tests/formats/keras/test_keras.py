"""The Keras reader against what Keras computed (recorded), and against files that are damaged, hostile or unsupported."""

import zipfile

import numpy as np
import pytest

from edgebn import Session, layers, passes, reference
from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

from edgebn.formats import keras  # noqa: E402  # after the check for h5py
from tests.conftest import RECORDED  # noqa: E402  # the same
from tests.formats.keras.keras_cases import CUSTOM, FOLDERS  # noqa: E402  # the same
from tests.formats.keras.keras_maker import INPUT, computed, entry, functional, sequential, tensors, write_h5  # noqa: E402  # the same

ZOO = [path for folder in FOLDERS for suffix in (".keras", ".h5") for path in sorted((RECORDED / folder).glob(f"*{suffix}"))]
KERAS2 = sorted((RECORDED / "keras2").glob("*.h5"))


def relative_error(got, wanted):
    """Greatest difference in parts of the wanted values' range."""
    assert got.shape == wanted.shape
    return np.abs(got.astype(np.float64) - wanted).max() / np.ptp(wanted)


def as_session(graph, array):
    """An array in the file's layout as sessions show it: channels last."""
    return np.moveaxis(array, 1, -1) if graph.channels_first and array.ndim > 2 else array


# What Keras says -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zoo_arrays():
    arrays = {}
    for folder in FOLDERS:
        with np.load(RECORDED / folder / "zoo.npz") as archive:
            arrays.update(archive)
    return arrays


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.name)
def test_zoo(path, zoo_arrays):
    graph = keras.read(path, custom_layers=CUSTOM)
    x, y = (as_session(graph, zoo_arrays[f"{path.stem}/{which}"]) for which in "xy")
    assert relative_error(reference.run(passes.lower(graph), x), y) <= 1e-5


def test_the_zoo_holds_both_kinds_of_file():
    assert len(ZOO) >= 125
    assert {path.suffix for path in ZOO} == {".keras", ".h5"}


@pytest.mark.parametrize("path", KERAS2, ids=lambda path: path.stem)
def test_keras2_spelling(path):
    with np.load(RECORDED / "keras2" / "outputs.npz") as archive:
        x, y = archive[f"{path.stem}/x"], archive[f"{path.stem}/y"]
    assert relative_error(reference.run(passes.lower(keras.read(path)), x), y) <= 1e-5


def real_input(name, shared_data):
    """The inputs that `recorders/record_keras_models.py` used."""
    if name.startswith("resnet8"):
        with np.load(shared_data / "cifar10_dev.npz") as archive:
            return archive["x_test"][:16].astype(np.float32)
    if name.startswith("kws"):
        with np.load(shared_data / "kws_dev.npz") as archive:
            return (archive["x"][:16].astype(np.float32) - np.float32(83)) * np.float32(0.5847029)
    return np.random.default_rng(640).standard_normal((16, 640)).astype(np.float32)


@pytest.mark.parametrize("name", ["resnet8.h5", "resnet8_jpeg.h5", "kws.keras", "kws.h5", "ad01.h5"])
def test_real_models(name, shared_models, shared_data):
    with np.load(RECORDED / "keras_models.npz") as archive:
        wanted = archive[name]
    session = Session(passes.lower(keras.read(shared_models / name)))
    assert relative_error(session.run(real_input(name, shared_data)), wanted) <= 1e-5


@pytest.mark.parametrize("name", ["separable", "batchnorm_everywhere", "nested_functional", "channels_first_cnn"])
def test_both_kinds_of_file_give_the_same_graph(name):
    archive, legacy = (keras.read(RECORDED / "keras_zoo" / f"{name}{suffix}") for suffix in (".keras", ".h5"))
    assert [layer.name for layer in archive.layers] == [layer.name for layer in legacy.layers]
    for one, other in zip(archive.layers, legacy.layers, strict=True):
        for field in vars(one):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_a_layer_called_twice_shares_its_arrays():
    graph = keras.read(RECORDED / "keras_zoo" / "batchnorm_shared_conv.keras")
    first, second = (layer for layer in graph.layers if isinstance(layer, layers.Convolution))
    assert (first.name, second.name) == ("conv2d", "conv2d/call2")
    assert first.weight is second.weight


def test_layers_of_nested_models_carry_their_names():
    names = [layer.name for layer in keras.read(RECORDED / "keras_zoo" / "nested_functional.keras").layers]
    assert names[:2] == ["block/inner/conv2d", "block/inner/batch_normalization"]
    assert "block/call2/inner/conv2d" in names


@pytest.mark.parametrize(("name", "first"), [("channels_first_cnn", True), ("channels_first_permuted", False), ("residual", False)])
def test_the_graph_says_how_its_inputs_lie(name, first):
    assert keras.read(RECORDED / "keras_zoo" / f"{name}.keras").channels_first is first


# Files made by hand ----------------------------------------------------------------------------------------------------


def test_several_inputs_and_outputs(tmp_path):
    model = functional(
        entry("InputLayer", "a", batch_shape=[None, 3]),
        entry("InputLayer", "b", batch_shape=[None, 3]),
        entry("Subtract", "difference", tensors("a", "b")),
        entry("Average", "mean", tensors("a", "b", "difference")),
        outputs=["mean", "difference"],
    )
    graph = keras.read(write_h5(tmp_path / "m.h5", model))
    assert (graph.inputs, graph.outputs) == (("a", "b"), ("mean", "difference"))
    a, b = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    got = reference.run(passes.lower(graph), {"a": a, "b": b})
    np.testing.assert_allclose(got["difference"], a - b, atol=1e-6)
    np.testing.assert_allclose(got["mean"], 2 * a / 3, atol=1e-6)


@pytest.mark.parametrize(("version", "slope"), [("2.4.0", 0.2), ("2.15.0", 0.2), ("3.0.0", 1 / 6), ("3.15.1", 1 / 6)])
def test_hard_sigmoid_is_that_of_the_files_version(tmp_path, version, slope):
    model = sequential((5,), entry("Activation", "gate", activation="hard_sigmoid"))
    x = np.float32([[-4, -1, 0.5, 2.7, 9]])
    got = computed(write_h5(tmp_path / "m.h5", model, version=version), x)
    np.testing.assert_allclose(got, np.clip(slope * x + 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("config", "formula"),
    [
        ({"threshold": 1.0}, lambda x: np.where(x > 1, x, 0)),
        ({"threshold": 1.0, "max_value": 2.0}, lambda x: np.where(x > 1, np.minimum(x, 2), 0)),
        ({"threshold": -1.0, "negative_slope": 0.5}, lambda x: np.where(x > -1, x, 0.5 * (x + 1))),
        (
            {"threshold": 0.5, "negative_slope": 0.1, "max_value": 2.5},
            lambda x: np.where(x > 0.5, np.minimum(x, 2.5), 0.1 * (x - 0.5)),
        ),
        ({"negative_slope": 0.1, "max_value": 2.5}, lambda x: np.minimum(np.where(x > 0, x, 0.1 * x), 2.5)),
    ],
)
def test_relu_arguments(tmp_path, config, formula):
    x = np.float32([[-3, -1, -0.5, 0, 0.5, 0.5000001, 1, 1.5, 3, 1000]])
    got = computed(write_h5(tmp_path / "m.h5", sequential((10,), entry("ReLU", "relu", **config))), x)
    np.testing.assert_allclose(got, formula(x), atol=1e-6, rtol=1e-6)


def test_an_activation_may_be_a_whole_layer_or_a_serialised_function(tmp_path):
    kernel = np.eye(3, dtype=np.float32)
    serialised = (
        {"class_name": "LeakyReLU", "config": {"negative_slope": 0.25}},
        {"class_name": "function", "config": "relu6", "module": "builtins", "registered_name": "function"},
    )
    x = np.float32([[-4, 2, 9]])
    for activation, wanted in zip(serialised, ([-1, 2, 9], [0, 2, 6]), strict=True):
        model = sequential((3,), entry("Dense", "dense", units=3, use_bias=False, activation=activation))
        np.testing.assert_allclose(computed(write_h5(tmp_path / "m.h5", model, {"dense": [kernel]}), x), [wanted])


def test_tensorflow_operations_of_keras2(tmp_path):
    """Hard swish as MobileNetV3 in Keras 2 stores it: x * relu6(x + 3) * (1 / 6), and a constant to the left."""
    model = functional(
        entry("InputLayer", "x", batch_input_shape=[None, 4]),
        entry("TFOpLambda", "shift", ["x", 0, 0, {"y": 3.0, "name": None}], function="__operators__.add"),
        entry("ReLU", "six", tensors("shift"), max_value=6.0),
        entry("TFOpLambda", "scale", ["six", 0, 0, {"y": 1 / 6, "name": None}], function="math.multiply"),
        entry("Multiply", "gated", tensors("x", "scale")),
        entry("TFOpLambda", "flip", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["gated", 0, 0], "name": None}], function="math.subtract"),
        outputs=["gated", "flip"],
    )
    x = np.float32([[-4, -1, 0.5, 7]])
    got = computed(write_h5(tmp_path / "m.h5", model, version="2.9.0"), x)
    swish = x * np.clip(x + 3, 0, 6) / 6
    np.testing.assert_allclose(got["gated"], swish, atol=1e-6)
    np.testing.assert_allclose(got["flip"], 1 - swish, atol=1e-6)


def test_models_that_keras2_nested_count_their_calls_from_one(tmp_path):
    inner = functional(entry("InputLayer", "in", batch_shape=[None, 2]), entry("ReLU", "relu", tensors("in")), outputs=["relu"])
    block = {**inner, "name": "block", "inbound_nodes": [tensors("x"), [["block", 1, 0, {}]]]}
    block["config"]["name"] = "block"
    model = functional(INPUT, block, outputs=["block"])
    model["config"]["output_layers"] = [["block", 2, 0]]
    graph = keras.read(write_h5(tmp_path / "m.h5", model, version="2.9.0"))
    assert [layer.name for layer in graph.layers] == ["block/relu", "block/call2/relu"]


def test_flatten_of_channels_first_moves_the_channels_last(tmp_path):
    model = sequential((2, 3, 4), entry("Flatten", "flat", data_format="channels_first"))
    graph = keras.read(write_h5(tmp_path / "m.h5", model))
    assert [layer.kind for layer in graph.layers] == ["Transpose", "Reshape"]
    assert graph.layers[0].permutation == (1, 2, 0)


def test_a_sequential_without_an_input_layer(tmp_path):
    model = {"class_name": "Sequential", "config": [entry("Dense", "dense", units=2, batch_input_shape=[None, 3])]}
    weights = {"dense": [np.ones((3, 2), np.float32), np.zeros(2, np.float32)]}
    graph = keras.read(write_h5(tmp_path / "m.h5", model, weights, version="2.1.6"))
    assert graph.tensors[graph.inputs[0]].shape == (3,)


# Open input sizes ------------------------------------------------------------------------------------------------------


def open_model(path):
    return write_h5(path, sequential((None, None, 3), entry("GlobalAveragePooling2D", "pool")))


@pytest.mark.parametrize("given", [(4, 5, 3), {"x": (4, 5, 3)}])
def test_input_shape_closes_open_sizes(tmp_path, given):
    graph = keras.read(open_model(tmp_path / "m.h5"), input_shape=given)
    assert graph.tensors["x"].shape == (4, 5, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"input 'x' of shape \(None, None, 3\) leaves sizes open; give them with input_shape="),
        ((4, 5, 1), "does not fit input 'x'"),
        ((4, 5), "does not fit input 'x'"),
        ((0, 5, 3), "empty or too large"),
    ],
)
def test_open_sizes_need_a_fitting_input_shape(tmp_path, given, message):
    with pytest.raises(ModelError, match=message):
        keras.read(open_model(tmp_path / "m.h5"), input_shape=given)


# Refused by name -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (entry("ThresholdedReLU", "t_1"), r"layer 't_1' \(ThresholdedReLU\): .*use ReLU"),
        (entry("ConvLSTM2D", "memory", filters=3), r"layer 'memory' \(ConvLSTM2D\): .*use LSTM or GRU behind convolutions"),
        (entry("Lambda", "magic"), r"layer 'magic' \(Lambda\): .*build it from Keras layers"),
        (entry("my>Secret", "s"), r"layer 's' \(Secret\): .*custom_layers=\{\"Secret\": \"BatchNormalization\"\}"),
        (
            entry("Activation", "a", activation="sparsemax"),
            r"layer 'a' \(Activation\): edgebn does not run the activation 'sparsemax'",
        ),
        (entry("BatchNormalization", "bn", renorm=True), r"layer 'bn' \(BatchNormalization\): .*renorm=False"),
        (entry("BatchNormalization", "bn", axis=[1, 2]), r"layer 'bn' \(BatchNormalization\): .*one axis"),
        (entry("UpSampling2D", "up", interpolation="bicubic"), r"layer 'up' \(UpSampling2D\): .*bicubic"),
        (entry("TFOpLambda", "op", function="math.erfc"), r"layer 'op' \(TFOpLambda\): .*'math.erfc'; use a Keras layer"),
        (entry("Resizing", "r", height=3, width=3, interpolation="bicubic"), r"layer 'r' \(Resizing\): .*Keras' backends differ"),
        (
            entry("Activation", "a", activation={"class_name": "PReLU", "config": {}}),
            r"layer 'a' \(Activation\): .*make it a layer of its own",
        ),
        (
            {**entry("Cumprod", "cumprod"), "module": "keras.src.ops.math"},
            r"layer 'cumprod' \(Cumprod\): edgebn does not run this operation",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name_class_and_hint(tmp_path, layer, message):
    path = write_h5(tmp_path / "m.h5", sequential((4, 4, 3), layer))
    with pytest.raises(UnsupportedLayerError, match=message) as caught:
        keras.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_subclassed_models_are_refused(tmp_path):
    with pytest.raises(UnsupportedLayerError, match="class 'MyNet', whose wiring only its own code knows"):
        keras.read(write_h5(tmp_path / "m.h5", {"class_name": "MyNet", "config": {}}))


def test_custom_layers_must_name_a_layer_that_runs(tmp_path):
    with pytest.raises(ModelError, match="maps 'BNLayer' to 'BatchNorm', which is no Keras layer"):
        keras.read(tmp_path / "any.h5", custom_layers={"BNLayer": "BatchNorm"})


# Damaged and hostile ---------------------------------------------------------------------------------------------------

DENSE = entry("Dense", "dense", units=2)
KERNEL, BIAS = np.ones((3, 2), np.float32), np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], "lacks its kernel"),
        ([KERNEL], "lacks its bias"),
        ([KERNEL.T, BIAS], r"its kernel has shape \(2, 3\) in the file; its configuration and input make it \(3, 2\)"),
        ([KERNEL * np.nan, BIAS], "weight holds NaN or infinite numbers"),
        ([KERNEL, BIAS + np.inf], "bias holds NaN or infinite numbers"),
        ([np.full((3, 2), b"text"), BIAS], "stored as .*, not as floating-point numbers"),
        ([KERNEL.astype(np.int8), BIAS], "stored as int8, not as floating-point numbers"),
    ],
)
def test_weights_are_checked(tmp_path, arrays, message):
    path = write_h5(tmp_path / "m.h5", sequential((3,), DENSE), {"dense": arrays})
    with pytest.raises(ModelError, match=message) as caught:
        keras.read(path)
    assert str(caught.value).startswith(f"{path}: layer 'dense' (Dense): ")


def redirected(path, link):
    """A sound file whose kernel is then replaced by `link(group)`."""
    write_h5(path, sequential((3,), DENSE), {"dense": [KERNEL, BIAS]})
    with h5py.File(path, "r+") as file:
        group = file["model_weights/dense/dense"]
        del group["w0:0"]
        link(group)
    return path


def test_links_out_of_the_file_are_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["k"] = KERNEL
    source = h5py.VirtualSource(tmp_path / "other.h5", "k", shape=(3, 2))
    layout = h5py.VirtualLayout((3, 2), np.float32)
    layout[:] = source
    (tmp_path / "raw.bin").write_bytes(KERNEL.tobytes())
    external = [(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
    makers = {
        "link to elsewhere": [
            lambda group: group.__setitem__("w0:0", h5py.ExternalLink(str(tmp_path / "other.h5"), "k")),
            lambda group: group.__setitem__("w0:0", h5py.SoftLink("/model_weights/dense/dense/w0:0")),
        ],
        "holds no data in this file": [
            lambda group: group.create_virtual_dataset("w0:0", layout),
            lambda group: group.create_dataset("w0:0", (3, 2), "f4", external=external),
            lambda group: group.create_dataset("w0:0", (3, 2), "f4"),
        ],
    }
    for message, links in makers.items():
        for link in links:
            with pytest.raises(ModelError, match=message):
                keras.read(redirected(tmp_path / "m.h5", link))


def test_absurd_sizes_are_refused_before_they_are_read(tmp_path):
    size = 1 << 20
    model = sequential((size,), entry("Dense", "dense", units=size, use_bias=False))
    path = write_h5(tmp_path / "m.h5", model, {"dense": []})
    with h5py.File(path, "r+") as file:
        group = file["model_weights/dense"]
        group.create_dataset("k", (size, size), "f4", chunks=(1, size))
        group["k"][0] = 1
        group.attrs["weight_names"] = [b"k"]
    with pytest.raises(ModelError, match="edgebn reads at most 268435456"):
        keras.read(path)


def repacked(path, **members):
    """The zoo's dense model with members of the archive replaced or (None) left out."""
    with zipfile.ZipFile(RECORDED / "keras_zoo" / "dense.keras") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    held.update(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in held.items():
            if data is not None:
                archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"config.json": None}, "has no config.json, so it is not a Keras model"),
        ({"model.weights.h5": None}, "has no model.weights.h5"),
        ({"config.json": b"{"}, "its configuration is not JSON"),
        ({"config.json": b"[" * 1_000_000}, "its configuration is nested too deeply"),
        ({"config.json": b"[" * 500 + b"]" * 500}, "nested too deeply"),
        ({"config.json": b" " * (5 << 20)}, "config.json would unpack to 5242880 bytes"),
        ({"model.weights.h5": bytes(60 << 20)}, "model.weights.h5 would unpack to 62914560 bytes"),
        ({"model.weights.h5": b"not HDF5"}, "its weights cannot be read"),
        ({"config.json": b"7"}, "names no class"),
        ({"metadata.json": b'{"keras_version": "1.2.2"}'}, "written by Keras 1.2.2; load and save it with Keras 2 or 3 first"),
    ],
)
def test_damaged_archives(tmp_path, members, message):
    with pytest.raises(ModelError, match=message):
        keras.read(repacked(tmp_path / "m.keras", **members))


def test_a_member_larger_than_it_says_is_refused(tmp_path):
    path = repacked(tmp_path / "m.keras", **{"config.json": b" " * (5 << 20)})
    data = bytearray(path.read_bytes())
    size = (5 << 20).to_bytes(4, "little")
    assert data.count(size) == 2
    path.write_bytes(data.replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(ModelError, match=r"m\.keras: "):
        keras.read(path)


def test_weights_alone_are_refused(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_group("dense")
    with pytest.raises(ModelError, match="weights only; save the whole model with"):
        keras.read(tmp_path / "m.h5")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (functional(INPUT, entry("ReLU", "a", tensors("b")), entry("ReLU", "b", tensors("a")), outputs=["b"]), "has a cycle"),
        (functional(INPUT, entry("ReLU", "a", tensors("a")), outputs=["a"]), "has a cycle"),
        (functional(INPUT, entry("ReLU", "a", tensors("gone")), outputs=["a"]), "layer 'a' waits for"),
        (functional(INPUT, outputs=["gone"]), "the model's output reads"),
        (functional(entry("ReLU", "a"), outputs=["a"]), "cannot be read"),
        (functional(INPUT, entry("Dropout", "x", tensors("x")), outputs=["x"]), "two layers are called 'x'"),
        (functional(entry("InputLayer", "x", batch_shape=[None, 1 << 40]), outputs=["x"]), "input 'x'|batch_shape"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "lists no layers"),
        (sequential((3,), entry("Add", "add")), r"layer 'add' \(Add\): it merges a single value"),
    ],
)
def test_wiring_that_makes_no_sense_is_refused(tmp_path, model, message):
    with pytest.raises(ModelError, match=message):
        keras.read(write_h5(tmp_path / "m.h5", model))


def test_models_within_models_cannot_multiply_without_end(tmp_path):
    model = functional(entry("InputLayer", "i", batch_shape=[None, 2]), entry("ReLU", "r", tensors("i")), outputs=["r"])
    for depth in range(8):
        name = f"m{depth}"
        calls = [tensors("i"), *([[name, call, 0, {}]] for call in range(9))]
        inner = {**model, "name": name, "inbound_nodes": calls, "config": {**model["config"], "name": name}}
        model = functional(entry("InputLayer", "i", batch_shape=[None, 2]), inner, outputs=[name])
        model["config"]["output_layers"] = [[name, 9, 0]]
    with pytest.raises(ModelError, match="more than 10000 layers"):
        keras.read(write_h5(tmp_path / "m.h5", model))


def test_models_nested_too_deep_are_refused(tmp_path):
    model = sequential((3,), entry("ReLU", "relu"))
    for depth in range(20):
        model = sequential((3,), {**model, "config": {**model["config"], "name": f"m{depth}"}})
    with pytest.raises(ModelError, match="nested more than 16 deep"):
        keras.read(write_h5(tmp_path / "m.h5", model))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_truncated_files_are_refused(tmp_path, suffix):
    content = (RECORDED / "keras_zoo" / f"dense{suffix}").read_bytes()
    for length in np.linspace(1, len(content) - 1, 40).astype(int):
        (tmp_path / f"m{suffix}").write_bytes(content[:length])
        with pytest.raises(ModelError, match=f"m{suffix}: "):
            keras.read(tmp_path / f"m{suffix}")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_flipped_bytes_give_a_model_or_a_clear_error(tmp_path, suffix):
    content = np.frombuffer((RECORDED / "keras_zoo" / f"dense{suffix}").read_bytes(), np.uint8)
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(150):
        damaged = content.copy()
        damaged[rng.integers(0, len(damaged), 8)] ^= rng.integers(1, 256, 8).astype(np.uint8)
        (tmp_path / f"m{suffix}").write_bytes(damaged.tobytes())
        try:
            keras.read(tmp_path / f"m{suffix}")
        except EdgebnError:
            refused += 1
    assert refused > 10


def test_the_archive_is_never_unpacked_to_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repacked(tmp_path / "m.keras", **{"../evil.txt": b"out"})
    keras.read(tmp_path / "m.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]
    assert not (tmp_path.parent / "evil.txt").exists()
