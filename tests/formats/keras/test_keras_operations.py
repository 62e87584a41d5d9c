"""Constants, operations and slices in Keras files against NumPy, whose broadcasting and slicing are Keras' own.

Of Keras 2 above all, which wrote none of the recorded zoo.
"""

import math

import numpy as np
import pytest

pytest.importorskip("h5py", reason="h5py is not installed")

from edgebn import passes, reference
from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats import keras
from edgebn.formats.keras.operations import TENSORFLOW_OPERATIONS
from tests.formats.keras.keras_cases import ABOVE_ZERO, FUNCTIONS, IMAGE, SCALE, X, function_model
from tests.formats.keras.keras_maker import computed, entry, functional, keras3_node, keras3_operation, tensors, write_h5


def constant(shape):
    return (0.5 + np.arange(np.prod(shape)) / 3).reshape(shape).astype(np.float32)


def single(layer):
    return functional(IMAGE, layer, outputs=[layer["name"]])


# TFOpLambda ------------------------------------------------------------------------------------------------------------

BINARY = {
    "__operators__.add": np.add,
    "math.add": np.add,
    "math.multiply": np.multiply,
    "math.subtract": np.subtract,
    "math.truediv": np.divide,
    "math.divide": np.divide,
    "math.maximum": np.maximum,
    "math.minimum": np.minimum,
}
SHAPES = [(2,), (1, 1, 1, 2), (1, 4, 5, 2), (5, 1), (1, 4, 1, 1), (1, 1, 2), ()]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("function", BINARY)
def test_tensorflow_constants_to_the_right(tmp_path, function, shape):
    array = constant(shape)
    layer = entry("TFOpLambda", "op", ["x", 0, 0, {"y": array.tolist(), "name": None}], function=function)
    got = computed(write_h5(tmp_path / "m.h5", single(layer), version="2.9.0"), X)
    np.testing.assert_allclose(got, BINARY[function](X, array), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("function", ["__operators__.add", "math.add", "math.multiply", "math.subtract"])
def test_tensorflow_constants_to_the_left(tmp_path, function, shape):
    array = constant(shape)
    node = ["_CONSTANT_VALUE", -1, array.tolist(), {"y": ["x", 0, 0], "name": None}]
    layer = entry("TFOpLambda", "op", node, function=function)
    got = computed(write_h5(tmp_path / "m.h5", single(layer), version="2.9.0"), X)
    np.testing.assert_allclose(got, BINARY[function](array, X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("side", ["base", "exponent"])
def test_tensorflow_powers(tmp_path, side, shape):
    array = constant(shape)
    node = ["x", 0, 0, {"y": array.tolist(), "name": None}]
    if side == "base":
        node = ["_CONSTANT_VALUE", -1, array.tolist(), {"y": ["x", 0, 0], "name": None}]
    x, layer = np.abs(X), entry("TFOpLambda", "op", node, function="math.pow")
    got = computed(write_h5(tmp_path / "m.h5", single(layer), version="2.9.0"), x)
    np.testing.assert_allclose(got, np.float_power(*((array, x) if side == "base" else (x, array))), rtol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_tensorflow_functions(tmp_path, function):
    """Each function by itself, of values beyond the bounds of every one of them that has any."""
    x = np.abs(X) + np.float32(0.1) if function in ABOVE_ZERO else X * np.float32(SCALE)
    got = computed(write_h5(tmp_path / "m.h5", function_model(function), version="2.9.0"), x)
    np.testing.assert_allclose(got, FUNCTIONS[function][1](x), rtol=1e-5, atol=1e-5)


def test_every_tensorflow_function_is_tried():
    assert set(TENSORFLOW_OPERATIONS) == set(FUNCTIONS)
    assert set(BINARY) <= set(FUNCTIONS)


@pytest.mark.parametrize("keepdims", [True, 1, False, 0, None])
def test_keepdims_is_a_flag(tmp_path, keepdims):
    layer = entry("TFOpLambda", "op", ["x", 0, 0, {"axis": [1, 2], "keepdims": keepdims}], function="math.reduce_mean")
    got = computed(write_h5(tmp_path / "m.h5", single(layer), version="2.9.0"), X)
    np.testing.assert_allclose(got, X.mean((1, 2), keepdims=bool(keepdims)), rtol=1e-5, atol=1e-6)


# Activations by name ---------------------------------------------------------------------------------------------------

BY_NAME = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: x.clip(0, 6),
    "hard_tanh": lambda x: x.clip(-1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "hard_silu": lambda x: x * (x / 6 + 0.5).clip(0, 1),
    "hard_swish": lambda x: x * (x / 6 + 0.5).clip(0, 1),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "exponential": np.exp,
    "gelu": lambda x: x * np.vectorize(lambda v: math.erfc(-v / math.sqrt(2)) / 2)(x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "sparse_sigmoid": lambda x: (x / 2 + 0.5).clip(0, 1),
    "hard_sigmoid": lambda x: (x / 6 + 0.5).clip(0, 1),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "linear": lambda x: x,
}


@pytest.mark.parametrize("name", BY_NAME)
def test_activations_by_name(tmp_path, name):
    x = X * np.float32(SCALE)
    got = computed(write_h5(tmp_path / "m.h5", single(entry("Activation", "op", tensors("x"), activation=name))), x)
    np.testing.assert_allclose(got, BY_NAME[name](x), rtol=1e-5, atol=1e-5)


def test_every_activation_is_tried():
    from edgebn.formats.keras.activations import _BY_NAME

    assert set(_BY_NAME) == set(BY_NAME) - {"hard_sigmoid", "softmax", "linear"}


# Merging layers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keras3", [False, True], ids=["keras2", "keras3"])
@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("Add", lambda x, c: x + c + x),
        ("Multiply", lambda x, c: x * c * x),
        ("Average", lambda x, c: (x + c + x) / 3),
    ],
)
def test_merging_layers_take_constants(tmp_path, kind, formula, keras3):
    """A constant of fewer axes gets its new ones behind the batch axis, not in front as in NumPy."""
    for shape in ((1, 4, 5, 2), (1, 2), (1, 5, 1), (1,)):
        array = constant(shape)
        node = [["x", 0, 0, {}], ["_CONSTANT_VALUE", -1, array.tolist(), {}], ["x", 0, 0, {}]]
        layer = entry(kind, "merged", keras3_node(["x", array, "x"]) if keras3 else node, trainable=True)
        got = computed(write_h5(tmp_path / "m.h5", single(layer)), X)
        spread = array.reshape(1, *(1,) * (4 - len(shape)), *shape[1:])
        np.testing.assert_allclose(got, formula(X, spread), rtol=1e-5, atol=1e-6)


def test_subtract_takes_a_constant_on_either_side(tmp_path):
    array = constant((1, 1, 1, 2))
    for operands, wanted in ((["x", array], X - array), ([array, "x"], array - X)):
        layer = entry("Subtract", "merged", keras3_node(operands), trainable=True)
        np.testing.assert_allclose(computed(write_h5(tmp_path / "m.h5", single(layer)), X), wanted, rtol=1e-5, atol=1e-6)


def test_a_dropout_that_does_not_say_whether_it_is_trainable_is_a_layer(tmp_path):
    """Keras 3 writes SpatialDropout so; in a .h5 file nothing else tells it from an operation."""
    layer = entry("SpatialDropout2D", "drop", keras3_node("x"), rate=0.3, seed=None, dtype="float32")
    np.testing.assert_array_equal(computed(write_h5(tmp_path / "m.h5", single(layer)), X), X)


# Of two values, against NumPy ------------------------------------------------------------------------------------------------

OF_TWO_VALUES = {
    "Subtract": lambda x, t: x - t,
    "Divide": lambda x, t: t / x,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
}


@pytest.mark.parametrize("operation", OF_TWO_VALUES)
def test_operations_of_two_values(tmp_path, operation):
    pair = ("t", "x") if operation == "Divide" else ("x", "t")
    model = functional(IMAGE, keras3_operation("Tanh", "t", "x"), keras3_operation(operation, "op", *pair), outputs=["op"])
    got = computed(write_h5(tmp_path / "m.h5", model), X)
    np.testing.assert_allclose(got, OF_TWO_VALUES[operation](X, np.tanh(X)), rtol=1e-5, atol=1e-6)


# Refused, truly ----------------------------------------------------------------------------------------------------------

MIXES = "differs along the batch axis; edgebn runs sample by sample"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras3_operation("Multiply", "op", "x", constant((3, 1, 1, 2))), MIXES),
        (keras3_operation("Subtract", "op", constant((3, 4, 5, 2)), "x"), MIXES),
        (keras3_operation("Add", "op", "x", constant((1, 1, 1, 1, 2))), "has more axes than the 4 of its input"),
        (entry("TFOpLambda", "op", ["x", 0, 0, {"y": constant((3, 1, 1, 1)).tolist()}], function="math.multiply"), MIXES),
        (entry("Add", "op", keras3_node(["x", constant((3, 1, 1, 2))]), trainable=True), MIXES),
        (entry("Multiply", "op", keras3_node(["x", constant((2,))]), trainable=True), MIXES),
        (entry("Rescaling", "op", tensors("x"), scale=constant((3, 1, 1, 1)).tolist()), MIXES),
        (keras3_operation("Concatenate", "op", ["x", constant((1, 4, 5, 2))], axis=3), "joins values of the network"),
        (entry("Concatenate", "op", keras3_node(["x", constant((1, 4, 5, 2))]), trainable=True), "joins values of the network"),
        (keras3_operation("Divide", "op", "x", np.zeros((2,), np.float32)), "divides by zero"),
        (keras3_operation("ExpandDims", "op", "x", axis=0), "keeps the batch axis first"),
        (keras3_operation("GetItem", "op", "x", [2]), "slices along the batch axis"),
        (keras3_operation("GetItem", "op", "x", None), "slices along the batch axis"),
    ],
)
def test_what_would_mix_samples_is_refused(tmp_path, layer, message):
    with pytest.raises(UnsupportedLayerError, match=rf"layer 'op' \(\w+\): .*{message}"):
        keras.read(write_h5(tmp_path / "m.h5", single(layer)))


def test_values_of_other_ranks_are_not_broadcast_as_samples(tmp_path):
    """Keras lines the batch axis of the shorter value up with another axis of the longer one."""
    model = functional(
        entry("InputLayer", "x", batch_shape=[None, 4, 4]),
        keras3_operation("Mean", "mean", "x", axis=1),
        keras3_operation("Add", "op", "x", "mean"),
        outputs=["op"],
    )
    with pytest.raises(UnsupportedLayerError, match=r"layer 'op' \(Add\): its inputs have 2 and 3 axes with the batch's"):
        keras.read(write_h5(tmp_path / "m.h5", model))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ([{"start": None, "stop": None, "step": None}, 4], "index 4 is outside an axis of 4"),
        ([{"start": None, "stop": None, "step": None}, {"start": 3, "stop": 3, "step": None}], "takes nothing of an axis of 4"),
        ([{"start": None, "stop": None, "step": None}] * 5, "does not fit a value of 4 axes"),
        ([{"start": None, "stop": None, "step": None}, {"start": None, "stop": None, "step": 0}], "step is 0"),
        ([{"start": None, "stop": None, "step": None}, "y"], "should be an integer"),
    ],
)
def test_slices_that_make_no_sense_are_refused(tmp_path, key, message):
    layer = entry("SlicingOpLambda", "op", ["x", 0, 0, {"slice_spec": key}], function="__operators__.getitem")
    with pytest.raises(ModelError, match=message):
        keras.read(write_h5(tmp_path / "m.h5", single(layer), version="2.9.0"))


# Slices ----------------------------------------------------------------------------------------------------------------


def as_keras2(item):
    if isinstance(item, slice):
        return {"start": item.start, "stop": item.stop, "step": item.step}
    return {"class_name": "__ellipsis__"} if item is Ellipsis else item


def as_keras3(item):
    if isinstance(item, slice):
        return {"class_name": "__slice__", "config": {"start": item.start, "stop": item.stop, "step": item.step}}
    return {"class_name": "__ellipsis__", "config": {}} if item is Ellipsis else item


WHOLE = slice(None)
KEYS = [
    (WHOLE, slice(1, 3)),
    (WHOLE, slice(-3, None), slice(None, -1)),
    (WHOLE, 2),
    (WHOLE, -1, WHOLE, 1),
    (..., 0),
    (..., slice(None, None, -1)),
    (WHOLE, None, ..., None),
    (WHOLE, slice(None, None, 2), slice(1, None, 3)),
    (WHOLE, slice(3, None, -2), slice(None, None, 4)),
    (WHOLE, WHOLE, slice(0, 100), slice(1, 2)),
    (WHOLE,),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("keras3", [False, True], ids=["keras2", "keras3"])
def test_slices(tmp_path, key, keras3):
    if keras3:
        layer = keras3_operation("GetItem", "op", "x", [as_keras3(item) for item in key])
    else:
        spec = {"slice_spec": [as_keras2(item) for item in key]}
        layer = entry("SlicingOpLambda", "op", ["x", 0, 0, spec], function="__operators__.getitem")
    np.testing.assert_array_equal(computed(write_h5(tmp_path / "m.h5", single(layer)), X), X[key])


def test_an_axis_is_turned_round(tmp_path):
    model = functional(
        entry("InputLayer", "x", batch_shape=[None, 40]),
        keras3_operation("GetItem", "op", "x", [as_keras3(WHOLE), as_keras3(slice(None, None, -1))]),
        outputs=["op"],
    )
    x = np.random.default_rng(0).normal(0, 1, (2, 40)).astype(np.float32)
    program = passes.lower(keras.read(write_h5(tmp_path / "m.h5", model)))
    np.testing.assert_array_equal(reference.run(program, x), x[:, ::-1])


# Outputs ---------------------------------------------------------------------------------------------------------------


def test_every_listed_output_is_given(tmp_path):
    """The same value twice, the input itself, a value that is read inside too; Keras gives one result for each."""
    outputs = ["relu", "x", "same", "relu", "x", "relu"]
    model = functional(IMAGE, entry("ReLU", "relu", tensors("x")), entry("Dropout", "same", tensors("relu")), outputs=outputs)
    got = computed(write_h5(tmp_path / "m.h5", model), X)
    assert list(got) == ["relu", "x", "same", "relu/output2", "x/output2", "relu/output3"]
    for name, value in got.items():
        np.testing.assert_array_equal(value, X if name.startswith("x") else np.maximum(X, 0), err_msg=name)


def test_a_repeated_output_does_not_take_a_layers_name(tmp_path):
    second = entry("ReLU", "r/output2", tensors("x"), max_value=0.5)
    model = functional(IMAGE, entry("ReLU", "r", tensors("x")), second, outputs=["r", "r", "r/output2"])
    got = computed(write_h5(tmp_path / "m.h5", model), X)
    wanted = [np.maximum(X, 0), np.maximum(X, 0), X.clip(0, 0.5)]
    assert len(got) == 3
    for value, array in zip(got.values(), wanted, strict=True):
        np.testing.assert_array_equal(value, array)
