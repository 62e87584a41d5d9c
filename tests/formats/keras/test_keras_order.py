"""Models within models in .h5 files: Keras matches their weights by order, whatever the layers are called, frozen or shared.

The networks are chains of dense layers and batch norms, so that the oracle is a chain of matrix products.
"""

import json

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

from edgebn.errors import ModelError  # noqa: E402  # after the check for h5py
from edgebn.formats import keras  # noqa: E402  # the same
from edgebn.formats.keras.definitions import WRAPPERS, parse_model  # noqa: E402  # the same
from edgebn.formats.keras.table import LAYERS  # noqa: E402  # the same
from edgebn.formats.keras.weight_order import WEIGHTS  # noqa: E402  # the same
from tests.conftest import RECORDED  # noqa: E402  # the same
from tests.formats.keras.keras_maker import computed, entry, functional, write_h5  # noqa: E402  # the same

SIZE = 3
X = np.random.default_rng(1).normal(0, 1, (4, SIZE)).astype(np.float32)


class Net:
    """Draws layers and keeps what they compute."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def dense(self, name, **config):
        kernel = self.rng.normal(0, 1, (SIZE, SIZE)).astype(np.float32)
        bias = self.rng.normal(0, 1, SIZE).astype(np.float32)
        layer = {"class_name": "Dense", "config": {"name": name, "units": SIZE, **config}}
        return Part(layer, [("kernel", kernel), ("bias", bias)], [], lambda x: x @ kernel + bias, config)

    def norm(self, name, **config):
        gamma, beta, mean = self.rng.normal(0, 1, (3, SIZE)).astype(np.float32)
        variance = self.rng.uniform(0.5, 2, SIZE).astype(np.float32)
        layer = {"class_name": "BatchNormalization", "config": {"name": name, "epsilon": 0.0, **config}}
        fixed = [("moving_mean", mean), ("moving_variance", variance)]
        formula = lambda x: gamma * (x - mean) / np.sqrt(variance) + beta  # noqa: E731  # it closes over the arrays
        return Part(layer, [("gamma", gamma), ("beta", beta)], fixed, formula, config)

    def model(self, name, *parts, sequential=False, **config):
        """A model within the model: its parts in a row."""
        if sequential:
            layers = [part.layer for part in parts]
            first = {"class_name": "InputLayer", "config": {"name": f"{name}_in", "batch_input_shape": [None, SIZE]}}
            layer = {"class_name": "Sequential", "config": {"name": name, "layers": [first, *layers], **config}}
        else:
            layer = functional(*wired(f"{name}_in", parts), outputs=[parts[-1].name])
            layer["config"] |= {"name": name, **config}
            layer["config"]["output_layers"] = [[parts[-1].name, int(parts[-1].is_model), 0]]
        trainable = [weight for part in parts for weight in part.trainable]
        fixed = [weight for part in parts for weight in part.fixed]

        def formula(x):
            for part in parts:
                x = part.formula(x)
            return x

        return Part(layer, trainable, fixed, formula, config)


class Part:
    """A layer or model: its configuration, its weights in Keras 2's two lists, and its formula."""

    def __init__(self, layer, trainable, fixed, formula, config):
        if config.get("trainable", True):
            self.trainable, self.fixed = trainable, fixed
        else:
            self.trainable, self.fixed = [], [*trainable, *fixed]
        self.layer, self.formula = layer, formula

    @property
    def name(self):
        return self.layer["config"]["name"]

    @property
    def is_model(self):
        return self.layer["class_name"] != "Dense" and "layers" in self.layer["config"]

    def weights(self, prefix=""):
        """Return the arrays in Keras' order, by names that are as good as any."""
        return {f"{prefix}{i}/{kind}:0": array for i, (kind, array) in enumerate([*self.trainable, *self.fixed])}


def wired(entry_name, parts):
    """Return the parts' layers in a row behind an input; Keras 2 counts the calls of a model from 1."""
    layers = [entry("InputLayer", entry_name, batch_input_shape=[None, SIZE])]
    previous = [entry_name, 0, 0, {}]
    for part in parts:
        layers.append({**part.layer, "name": part.name, "inbound_nodes": [[previous]]})
        previous = [part.name, int(part.is_model), 0, {}]
    return layers


def saved(path, *parts, weights=None, version="2.8.0"):
    """Write the parts in a row; `weights` replaces what a part's list holds."""
    model = functional(*wired("x", parts), outputs=[parts[-1].name])
    model["config"]["output_layers"] = [[parts[-1].name, int(parts[-1].is_model), 0]]
    held = {part.name: (weights or {}).get(part.name, part.weights()) for part in parts}
    return write_h5(path, model, held, version=version)


def assert_computes(path, part, x=X):
    wanted = part.formula(x)
    np.testing.assert_allclose(computed(path, x), wanted, rtol=1e-4, atol=1e-4 * np.ptp(wanted))


NAMES = [
    ("layer1_conv", "layer1_bn", "top"),
    ("layer1/conv", "layer1/conv/bn", "top"),  # YAMNet
    ("a", "b/a", "c/b/a"),
    ("time_distributed/dense", "bidirectional/forward_x/cell", "bidirectional/backward_x/cell"),
    ("kernel", "gamma/beta", "moving_mean"),
    ("inner", "outer/inner", "inner/inner"),
]


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("spelling", ["{0}/{1}", "outer/inner/{0}/{1}", "{0}_1/{1}", "block/weight_{2}:0", "same/{2}/{1}"])
def test_names_do_not_matter(tmp_path, names, sequential, spelling):
    """Layers with slashes in their names, and weights that are called after them, after the model, or after nothing."""
    net = Net()
    parts = [net.dense(names[0]), net.norm(names[1]), net.dense(names[2])]
    inner = net.model("inner", *parts, sequential=sequential)
    owners = {id(array): part.name for part in parts for _, array in (*part.trainable, *part.fixed)}
    listed = [*inner.trainable, *inner.fixed]
    weights = {spelling.format(owners[id(array)], f"{kind}:0", position): array for position, (kind, array) in enumerate(listed)}
    assert len(weights) == 8
    assert_computes(saved(tmp_path / "m.h5", inner, weights={"inner": weights}), inner)


@pytest.mark.parametrize("depth", [2, 3, 6])
@pytest.mark.parametrize("sequential", [False, True])
def test_deeper_models_with_the_same_names_in_each(tmp_path, depth, sequential):
    net = Net()
    inner = net.model("m", net.dense("d"), net.norm("d/bn"))
    for _ in range(depth):
        inner = net.model("m", net.norm("n"), inner, net.dense("d"), sequential=sequential)
    assert_computes(saved(tmp_path / "m.h5", inner), inner)


def test_several_models_in_a_row(tmp_path):
    net = Net()
    parts = [net.model("a", net.dense("x/y"), net.norm("y")), net.dense("y"), net.model("b", net.norm("y"), net.dense("x/y"))]
    assert_computes(saved(tmp_path / "m.h5", *parts), net.model("all", *parts))


@pytest.mark.parametrize("frozen", range(8))
def test_frozen_layers_stand_behind_those_that_are_trained(tmp_path, frozen):
    """Keras 2: a frozen norm lists gamma and beta among the fixed weights; a frozen model inside lists all of its own there."""
    net = Net(frozen)
    flags = [{} if frozen >> bit & 1 else {"trainable": False} for bit in range(3)]
    inner = net.model("inner", net.norm("n/1", **flags[0]), net.dense("d/1"), **flags[1])
    outer = net.model("outer", net.dense("d", **flags[2]), net.norm("n"), inner, net.norm("last"))
    assert_computes(saved(tmp_path / "m.h5", outer), outer)


def test_a_layer_in_two_models_is_listed_once(tmp_path):
    """Keras 2.6 and newer give both definitions the same `shared_object_id`."""
    net = Net()
    shared, norm = net.dense("shared/layer"), net.norm("norm")
    shared.layer["shared_object_id"] = 7
    outer = net.model("outer", net.model("one", shared, norm), net.model("two", net.dense("own"), shared))
    seen, trainable = set(), []
    for kind, array in outer.trainable:
        if id(array) not in seen:
            trainable.append((kind, array))
        seen.add(id(array))
    outer.trainable = trainable
    assert_computes(saved(tmp_path / "m.h5", outer), outer)


def test_a_model_called_twice(tmp_path):
    net = Net()
    inner = net.model("inner", net.dense("a/b"), net.norm("c"))
    layers = wired("x", [inner])
    layers[-1]["inbound_nodes"].append([["inner", 1, 0, {}]])
    model = functional(*layers, outputs=["inner"])
    model["config"]["output_layers"] = [["inner", 2, 0]]
    path = write_h5(tmp_path / "m.h5", model, {"inner": inner.weights()}, version="2.8.0")
    assert_computes(path, net.model("twice", inner, inner))


def test_where_a_weight_is_missing_names_decide_or_the_file_is_refused(tmp_path):
    """A list of another length than the network's: by names where they are plain, else nothing is taken for something else."""
    net = Net()
    parts = [net.dense("a"), net.norm("b")]
    inner = net.model("inner", *parts)
    named = {f"{part.name}/{kind}:0": array for part in parts for kind, array in (*part.trainable, *part.fixed)}
    more = {"counter/steps:0": np.zeros(SIZE, np.float32), **named}
    assert_computes(saved(tmp_path / "m.h5", inner, weights={"inner": more}), inner)
    less = dict(list(inner.weights().items())[1:])
    with pytest.raises(ModelError, match=r"layer 'inner/a' \(Dense\): the file lacks its kernel"):
        keras.read(saved(tmp_path / "m.h5", inner, weights={"inner": less}))


def test_a_list_in_another_order_is_not_taken_for_keras_own(tmp_path):
    """The lengths agree, but Keras' own words for the kinds say that another layer's weights stand there."""
    net = Net()
    parts = [net.norm("a"), net.dense("b")]
    inner = net.model("inner", *parts)
    by_layer = {f"{part.name}/{kind}:0": array for part in parts for kind, array in (*part.trainable, *part.fixed)}
    assert list(by_layer) != [f"{kind}:0" for kind, _ in (*inner.trainable, *inner.fixed)]
    assert_computes(saved(tmp_path / "m.h5", inner, weights={"inner": by_layer}), inner)


def test_the_number_of_weights_of_each_class_is_that_of_recorded_files():
    """Of every layer at the top of the recorded .h5 files."""
    seen = set()
    for path in sorted(RECORDED.glob("keras*/*.h5")):
        with h5py.File(path) as file:
            model = parse_model(json.loads(file.attrs["model_config"]), {"BNLayer": "BatchNormalization"})
            for layer in model.layers.values():
                if layer.model is not None or layer.class_name == "InputLayer" or layer.is_operation:
                    continue
                stored = file["model_weights"][layer.name].attrs["weight_names"]
                wanted = sum(map(len, WEIGHTS[layer.class_name](layer.settings))) if layer.class_name in WEIGHTS else 0
                assert len(stored) == wanted, f"{path.name}: {layer.name}"
                seen.add(layer.class_name)
    assert set(WEIGHTS) <= {*LAYERS, *WRAPPERS}
    older = {name for name in WEIGHTS if name.startswith(("Convolution", "SeparableConvolution", "BatchNormalizationV", "Sync"))}
    assert set(WEIGHTS) - older - set(WRAPPERS) <= seen


def test_training_true_is_refused_where_keras_2_goes_on_training(tmp_path):
    """Keras 3 overrides it where it predicts, and records it for layers that nobody called so (see the zoo's augmentation)."""
    net = Net()
    norm = net.norm("bn")
    model = functional(
        entry("InputLayer", "x", batch_shape=[None, SIZE]),
        {**norm.layer, "name": "bn", "inbound_nodes": [[["x", 0, 0, {"training": True}]]]},
        outputs=["bn"],
    )
    with pytest.raises(ModelError, match=r"layer 'bn' \(BatchNormalization\): it is called with training=True"):
        keras.read(write_h5(tmp_path / "m.h5", model, {"bn": norm.weights()}, version="2.8.0"))
    inner = net.model("inner", net.dense("d"), norm)
    for given, inside, refused in ((True, None, True), (True, False, False), (False, None, False), (1, None, True)):
        layers = wired("x", [inner])
        layers[-1]["inbound_nodes"] = [[["x", 0, 0, {"training": given}]]]
        last = layers[-1]["config"]["layers"][-1]
        last["inbound_nodes"] = [[["d", 0, 0, {} if inside is None else {"training": inside}]]]
        model = functional(*layers, outputs=["inner"])
        path = write_h5(tmp_path / "m.h5", model, {"inner": inner.weights()}, version="2.8.0")
        if refused:
            with pytest.raises(ModelError, match=r"layer 'inner/bn' .*training=True"):
                keras.read(path)
        else:
            assert_computes(path, inner)


def test_dropout_called_to_train_is_refused(tmp_path):
    called = [["x", 0, 0, {"training": True}]]
    layers = [entry("InputLayer", "x", batch_shape=[None, SIZE]), entry("Dropout", "d", called, rate=0.5)]
    with pytest.raises(ModelError, match=r"layer 'd' \(Dropout\): it is called with training=True"):
        keras.read(write_h5(tmp_path / "m.h5", functional(*layers, outputs=["d"]), version="2.8.0"))
