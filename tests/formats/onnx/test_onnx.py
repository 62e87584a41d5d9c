"""The ONNX reader: what it makes of nodes, versions and shapes, and what it says of files that are damaged or not for us."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgebn import reference  # noqa: E402
from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError  # noqa: E402
from edgebn.formats.onnx import from_proto, read  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from edgebn.passes.graph.qdq import collapse  # noqa: E402

FLOAT = TensorProto.FLOAT
rng = np.random.default_rng(7)


def array(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def model(nodes, inputs, constants=None, outputs=("y",), opset=17, domains=()):
    """Build a ModelProto; `inputs` maps names to shapes, `constants` names to arrays."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports)


def node(operator, *inputs, output="y", name="the_node", **attributes):
    return helper.make_node(operator, list(inputs), [output], name=name, **attributes)


def graph_of(nodes, inputs, constants=None, opset=17, **options):
    return from_proto(model(nodes, inputs, constants, opset=opset), "net.onnx", **options)


def refusal(nodes, inputs, constants=None, opset=17, **options):
    with pytest.raises(EdgebnError) as caught:
        graph_of(nodes, inputs, constants, opset, **options)
    return str(caught.value)


def conv_net():
    constants = {
        "w": array(8, 3, 3, 3),
        "b": array(8),
        "gamma": array(8),
        "beta": array(8),
        "mean": array(8),
        "variance": array(8) ** 2 + 0.1,
        "dense": array(8, 5),
    }
    nodes = [
        node("Conv", "x", "w", "b", output="c", name="conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c", "gamma", "beta", "mean", "variance", output="n", name="norm", epsilon=1e-3),
        node("Relu", "n", output="r", name="relu"),
        node("MaxPool", "r", output="p", name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "p", output="g", name="mean"),
        node("Flatten", "g", output="f", name="flatten"),
        node("MatMul", "f", "dense", name="dense"),
    ]
    return model(nodes, {"x": ["batch", 3, 8, 8]}, constants)


def test_layers_are_channels_first_and_batch_norm_stays():
    graph = from_proto(conv_net(), "net.onnx")
    assert [layer.kind for layer in graph.layers] == [
        "Convolution",
        "BatchNorm",
        "Activation",
        "Pool",
        "Reduce",
        "Reshape",
        "Dense",
    ]
    assert graph.channels_first
    assert graph.layers[0].channels_first
    assert graph.layers[0].weight.shape == (8, 3, 3, 3)
    assert graph.layers[1].axis == 0
    assert graph.tensors["x"].shape == (3, 8, 8)
    assert graph.tensors["y"].shape == (5,)


def test_unnamed_nodes_get_names_of_their_own():
    nodes = [node("Relu", "x", output="a", name=""), node("Relu", "a", output="b", name="twice"), node("Relu", "b", name="twice")]
    assert len({layer.name for layer in graph_of(nodes, {"x": [1, 4]}).layers}) == 3


def test_open_sizes_need_input_shape():
    nodes = [node("Relu", "x")]
    assert "input_shape=" in refusal(nodes, {"x": ["n", 3, "h", "w"]})
    assert graph_of(nodes, {"x": ["n", 3, "h", "w"]}, input_shape=(3, 6, 5)).tensors["y"].shape == (3, 6, 5)
    assert graph_of(nodes, {"x": ["n", 3, "h"]}, input_shape={"x": (3, 6)}).tensors["y"].shape == (3, 6)
    assert "does not fit" in refusal(nodes, {"x": ["n", 3, "h"]}, input_shape=(4, 6))


@pytest.mark.parametrize("open_size", [-1, 0])
def test_sizes_that_exporters_write_for_not_known_are_open(open_size):
    nodes, constants = [node("Conv", "x", "w")], {"w": array(2, 3, 1, 1)}
    assert graph_of(nodes, {"x": [open_size, 3, 4, 5]}, constants).tensors["y"].shape == (2, 4, 5)
    every = {"x": [open_size, open_size, open_size, open_size]}
    assert "has the open shape (?, ?, ?); say it with input_shape=" in refusal(nodes, every, constants)
    assert graph_of(nodes, every, constants, input_shape=(3, 4, 5)).tensors["y"].shape == (2, 4, 5)
    assert "does not fit" in refusal(nodes, {"x": [open_size, 3, open_size, 5]}, constants, input_shape=(4, 4, 5))


def test_without_a_batch_axis_all_axes_are_the_sample():
    nodes = [node("Softmax", "x", axis=0)]
    assert graph_of(nodes, {"x": [3, 4]}).tensors["y"].shape == (3, 4)


def test_shape_arithmetic_leaves_no_trace():
    """What PyTorch writes for x.view(x.size(0), -1)."""
    nodes = [
        node("Shape", "x", output="s"),
        node("Gather", "s", "zero", output="n", axis=0),
        node("Unsqueeze", "n", "axes", output="u"),
        node("Concat", "u", "minus", output="target", axis=0),
        node("Reshape", "x", "target"),
    ]
    constants = {"zero": np.array(0), "axes": np.array([0]), "minus": np.array([-1])}
    for batch in ("n", 1, 4):
        graph = graph_of(nodes, {"x": [batch, 3, 4, 5]}, constants)
        assert [layer.kind for layer in graph.layers] == ["Reshape"]
        assert graph.tensors["y"].shape == (60,)


def test_softmax_over_several_axes_before_opset_13():
    x = array(2, 3, 4)
    program = lower(graph_of([node("Softmax", "x", axis=1)], {"x": [2, 3, 4]}, opset=11))
    flat = np.exp(x.reshape(2, 12))
    expected = (flat / flat.sum(1, keepdims=True)).reshape(2, 3, 4)
    np.testing.assert_allclose(reference.run(program, x), expected, rtol=1e-5)


def test_swish_with_its_own_alpha():
    x = array(2, 6)
    program = lower(graph_of([node("Swish", "x", alpha=1.7)], {"x": [2, 6]}, opset=24))
    np.testing.assert_allclose(reference.run(program, x), x / (1 + np.exp(-1.7 * x)), rtol=1e-5)


@pytest.mark.parametrize(("operator", "expected"), [("Sub", lambda x, c: x - c), ("Div", lambda x, c: x / c)])
def test_constants_on_the_right(operator, expected):
    x, c = array(2, 3, 4, 4), array(3, 1, 1)
    program = lower(graph_of([node(operator, "x", "c"), node("Relu", "y", output="z")], {"x": [2, 3, 4, 4]}, {"c": c}))
    np.testing.assert_allclose(reference.run(program, x), expected(x, c), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("nodes", "constants", "words"),
    [
        ([node("Scan", "x", "w")], {"w": array(4, 3)}, "(Scan): edgebn does not run this operator; edgebn runs no loops"),
        ([node("Conv", "x", "x")], {}, "its weight is computed by the network"),
        ([node("BatchNormalization", "x", *"gbmv", training_mode=1)], {k: array(3) for k in "gbmv"}, "training mode"),
        ([node("Conv", "x", "w")], {"w": np.full((4, 3, 3, 3), np.nan, np.float32)}, "NaN"),
        ([node("Conv", "x", "w")], {"w": array(4, 5, 3, 3)}, "does not fit an input of 3 channels"),
        ([node("Conv", "x", "w", strides=[0, 1])], {"w": array(4, 3, 3, 3)}, "between 1 and"),
        ([node("Conv", "x", "w", pads=[-1, 0, 0, 0])], {"w": array(4, 3, 3, 3)}, "negative or absurd"),
        ([node("Conv", "x", "w", group="two")], {"w": array(4, 3, 3, 3)}, "should be a whole number"),
        ([node("Reshape", "x", "s")], {"s": np.array([1, -1, -1])}, "more than one size open"),
        ([node("Resize", "x", "", "s", mode="quintic")], {"s": np.ones(4, np.float32)}, "its mode 'quintic'"),
        ([node("Slice", "x", "a", "b", "c", "d")], {"a": [0], "b": [4], "c": [2], "d": [0]}, "steps"),
        ([node("Pad", "x", "p", mode="reflect")], {"p": np.full(8, 9)}, "more than its elements"),
        ([node("Tile", "x", "r")], {"r": [1, 1, 0, 1]}, "empty"),
        ([node("Expand", "x", "r")], {"r": [1, 3, 4, 8]}, "does not fit"),
        ([node("Relu", "nowhere")], {}, "no node before it makes"),
        ([node("Add", "a", "x", output="b"), node("Relu", "b", output="a"), node("Relu", "a")], {}, "cycle"),
        ([node("Relu", "x", output="a"), node("Tanh", "x", output="a"), node("Relu", "a")], {}, "two nodes make the value"),
        ([node("ConstantOfShape", "s", output="c"), node("Add", "x", "c")], {"s": np.array([1 << 40])}, "larger than"),
        ([node("Cast", "x", to=TensorProto.INT8)], {}, "changes the type"),
    ],
)
def test_refusals_name_the_node_and_the_reason(nodes, constants, words):
    message = refusal(nodes, {"x": [1, 3, 8, 8]}, constants)
    assert words in message
    assert message.startswith("net.onnx: ")
    assert "the_node" in message or "net.onnx" in message


def test_other_types_of_input_are_refused():
    proto = model([node("Relu", "x")], {"x": [1, 3]})
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.COMPLEX64
    with pytest.raises(UnsupportedLayerError, match="is not a float32"):
        from_proto(proto, "net.onnx")


def test_foreign_operators_and_old_operator_sets_are_refused():
    foreign = model([node("Relu", "x", domain="my.company")], {"x": [1, 3]}, domains=("my.company",))
    with pytest.raises(UnsupportedLayerError, match=r"operator set 'my\.company'"):
        from_proto(foreign, "net.onnx")
    with pytest.raises(ModelError, match="operator set 3"):
        from_proto(model([node("Relu", "x")], {"x": [1, 3]}, opset=3), "net.onnx")


@pytest.mark.parametrize("cast", [True, False])
def test_half_precision_is_read_as_float32(cast):
    """As converters write it: everything in float16, or casts around it so that inputs and outputs stay float32."""
    weights = {"w": array(4, 3, 3, 3).astype(np.float16), "b": array(4).astype(np.float16), "high": np.float16(6), "m": array(4, 2)}
    weights["m"] = weights["m"].astype(np.float16)

    def network(constants, casts):
        middle = [
            node("Conv", "h" if casts else "x", "w", "b", output="c", name="conv"),
            node("Clip", "c", "", "high", output="r", name="clip"),
            node("GlobalAveragePool", "r", output="g", name="pool"),
            node("Flatten", "g", output="f", name="flat"),
            node("MatMul", "f", "m", output="o" if casts else "y", name="dense"),
        ]
        if casts:
            to_half = node("Cast", "x", output="h", name="down", to=TensorProto.FLOAT16)
            middle = [to_half, *middle, node("Cast", "o", name="up", to=TensorProto.FLOAT)]
        return model(middle, {"x": ["n", 3, 6, 5]}, constants)

    half = network(weights, cast)
    if not cast:
        for entry in (*half.graph.input, *half.graph.output):
            entry.type.tensor_type.elem_type = TensorProto.FLOAT16
    whole = network({name: value.astype(np.float32) for name, value in weights.items()}, False)
    x = array(2, 6, 5, 3)
    ours, expected = (reference.run(lower(from_proto(proto, "net.onnx")), x) for proto in (half, whole))
    np.testing.assert_array_equal(ours, expected)


def test_external_data_beside_the_file_only(tmp_path):
    proto, inside = conv_net(), onnx.ModelProto()
    inside.CopyFrom(proto)
    path = tmp_path / "net.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="net.bin", size_threshold=16)
    np.testing.assert_array_equal(read(path).layers[0].weight, from_proto(inside, "net").layers[0].weight)
    (tmp_path / "net.bin").write_bytes((tmp_path / "net.bin").read_bytes()[:-4])
    with pytest.raises(ModelError, match="shorter"):
        read(path)
    (tmp_path / "net.bin").unlink()
    with pytest.raises(ModelError, match="not beside the model"):
        read(path)
    outside = onnx.load(path, load_external_data=False)
    for tensor in outside.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../secret.bin"
    path.write_bytes(outside.SerializeToString())
    with pytest.raises(ModelError, match="outside the model's folder"):
        read(path)


def test_external_data_behind_links(tmp_path):
    """As huggingface_hub keeps a download: the names that the model knows are links to files of other names elsewhere."""
    proto, (blobs, snapshot) = conv_net(), (tmp_path / "blobs", tmp_path / "snapshot")
    blobs.mkdir()
    snapshot.mkdir()
    expected = numpy_helper.to_array(proto.graph.initializer[0])
    onnx.save(proto, blobs / "net.onnx", save_as_external_data=True, location="net.bin", size_threshold=16)
    (blobs / "net.bin").rename(blobs / "3f2a")
    (snapshot / "net.onnx").symlink_to("../blobs/net.onnx")
    (snapshot / "net.bin").symlink_to("../blobs/3f2a")
    np.testing.assert_array_equal(read(snapshot / "net.onnx").layers[0].weight, expected.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    "location", ["/etc/hostname", "../net.bin", "data/../../net.bin", "C:\\data\\net.bin", "..\\net.bin", "C:net.bin", "\\net.bin"]
)
def test_names_of_external_data_cannot_leave_the_folder(tmp_path, location):
    path = tmp_path / "inner" / "net.onnx"
    path.parent.mkdir()
    onnx.save(conv_net(), path, save_as_external_data=True, location="net.bin", size_threshold=16)
    proto = onnx.load(path, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match=r"net\.onnx: the constant 'w' .* outside the model's folder"):
        read(path)


@pytest.mark.parametrize("opset", [9, 13])
def test_batch_norm_with_more_outputs_than_one_trains_before_opset_14(opset):
    """By the specification, whether anything reads them or not; onnxruntime then uses the batch's own statistics."""
    constants = {name: array(3) ** 2 + 0.1 for name in "gbmv"}
    names = ["y", "mean", "var", "saved_mean", "saved_var"]
    training = helper.make_node("BatchNormalization", ["x", *"gbmv"], names, "the_node")
    assert "the_node' (BatchNormalization): it is in training mode" in refusal([training], {"x": [2, 3, 4, 4]}, constants, opset)
    left_out = helper.make_node("BatchNormalization", ["x", *"gbmv"], ["y", "", ""], "the_node")
    assert graph_of([left_out], {"x": [2, 3, 4, 4]}, constants, opset).tensors["y"].shape == (3, 4, 4)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("this is no protobuf at all, is it")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        read(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="operator set"):
        read(tmp_path / "empty.onnx")


def quantised_pair(weights_zero_point=0, weight_type=np.int8):
    """Return (model, x, expected codes): Quantize, QLinearConv of 1 x 1, as integers computed here."""
    weight = rng.integers(-127, 128, (4, 3, 1, 1)) if weight_type == np.int8 else rng.integers(0, 256, (4, 3, 1, 1))
    weight = weight.astype(weight_type)
    constants = {
        "xs": np.float32(0.05),
        "xz": np.uint8(110),
        "w": weight,
        "ws": np.float32(0.01),
        "wz": weight_type(weights_zero_point),
        "ys": np.float32(0.07),
        "yz": np.uint8(120),
        "b": rng.integers(-500, 500, 4).astype(np.int32),
    }
    nodes = [
        node("QuantizeLinear", "x", "xs", "xz", output="q", name="quantize"),
        node("QLinearConv", "q", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b", output="c", name="conv"),
        node("DequantizeLinear", "c", "ys", "yz", name="dequantize"),
    ]
    x = rng.uniform(-5, 5, (2, 3, 4, 4)).astype(np.float32)
    codes = np.clip(np.rint(x / np.float32(0.05)) + 110, 0, 255).astype(np.int64) - 110
    acc = (
        np.einsum("nchw,oc->nohw", codes, weight[:, :, 0, 0].astype(np.int64) - weights_zero_point) + constants["b"][:, None, None]
    )
    scale = np.float64(constants["xs"]) * np.float64(constants["ws"]) / np.float64(constants["ys"])
    expected = np.clip(np.floor(acc * scale + 0.5) + 120, 0, 255)
    return model(nodes, {"x": [2, 3, 4, 4]}, constants), x, expected


@pytest.mark.parametrize(
    ("zero_point", "weight_type"), [(0, np.int8), (128, np.uint8), (100, np.uint8), (0, np.uint8), (255, np.uint8)]
)
def test_integer_convolutions_keep_every_bit_of_asymmetric_weights(zero_point, weight_type):
    proto, x, expected = quantised_pair(zero_point, weight_type)
    program = lower(from_proto(proto, "net.onnx"))
    assert program.dtype == "int8"
    real = reference.run(program, x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(np.rint(real / np.float32(0.07)) + 120, expected)


def test_quantize_dequantize_pairs_collapse():
    """DequantizeLinear, Conv, Relu, QuantizeLinear become integer layers; bias and weights are the file's codes."""
    codes = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    bias = rng.integers(-(2**30), 2**30, 4).astype(np.int32)  # float32 would not hold these
    constants = {"s": np.float32(0.1), "z": np.int8(3), "w": codes, "ws": array(4) ** 2 + 0.01, "wz": np.zeros(4, np.int8)}
    constants |= {"b": bias, "bs": (np.float32(0.1) * constants["ws"]).astype(np.float32), "bz": np.zeros(4, np.int32)}
    constants |= {"ys": np.float32(9e6), "yz": np.int8(-128)}
    nodes = [
        node("QuantizeLinear", "x", "s", "z", output="q", name="q1"),
        node("DequantizeLinear", "q", "s", "z", output="d", name="d1"),
        node("DequantizeLinear", "w", "ws", "wz", output="wd", name="d2", axis=0),
        node("DequantizeLinear", "b", "bs", "bz", output="bd", name="d3", axis=0),
        node("Conv", "d", "wd", "bd", output="c", name="conv"),
        node("Relu", "c", output="r", name="relu"),
        node("QuantizeLinear", "r", "ys", "yz", output="rq", name="q2"),
        node("DequantizeLinear", "rq", "ys", "yz", name="d4"),
    ]
    graph = collapse(from_proto(model(nodes, {"x": [1, 3, 8, 8]}, constants), "net.onnx"))
    assert [layer.kind for layer in graph.layers] == ["Convolution", "Activation"]
    convolution = graph.layers[0]
    np.testing.assert_array_equal(convolution.weight, codes.transpose(0, 2, 3, 1))
    assert convolution.bias.dtype == np.int32
    assert np.abs(convolution.bias.astype(np.int64) - bias).max() <= 64  # the file's bias scale is rounded to float32
    assert all(tensor.quantization is not None for tensor in graph.tensors.values())
    assert graph.inputs == ("x",)
    assert graph.outputs == ("y",)


def test_a_float_layer_between_integer_layers_stays_float32():
    constants = {"s": np.float32(0.1), "z": np.uint8(3), "w": array(4, 3, 1, 1)}
    nodes = [
        node("QuantizeLinear", "x", "s", "z", output="q", name="q1"),
        node("DequantizeLinear", "q", "s", "z", output="d", name="d1"),
        node("Conv", "d", "w", name="left_alone"),
    ]
    graph = collapse(from_proto(model(nodes, {"x": [1, 3, 8, 8]}, constants), "net.onnx"))
    assert [(layer.name, layer.kind) for layer in graph.layers] == [("d1", "Dequantize"), ("left_alone", "Convolution")]
    assert graph.tensors["x"].quantization is not None
    assert graph.tensors["y"].quantization is None


@pytest.mark.parametrize(
    ("operator", "function"), [("Neg", np.negative), ("Tanh", np.tanh), ("HardSwish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1))]
)
def test_a_last_layer_without_a_scale_is_float32(operator, function):
    """onnxruntime's quantizer leaves the last layer in float32 where no integer operator follows."""
    constants = {"s": np.float32(0.03), "z": np.int8(5)}
    nodes = [
        node("QuantizeLinear", "x", "s", "z", output="q", name="q1"),
        node("DequantizeLinear", "q", "s", "z", output="d", name="d1"),
        node(operator, "d"),
    ]
    x = rng.uniform(-3, 3, (2, 40)).astype(np.float32)
    program = lower(graph_of(nodes, {"x": [2, 40]}, constants, opset=14))
    assert program.dtype == "mixed"
    held = (np.clip(np.rint(x / np.float32(0.03)) + 5, -128, 127) - 5) * np.float32(0.03)
    np.testing.assert_allclose(reference.run(program, x), function(held), atol=1e-6)


def test_weights_alone_stored_as_integers_run_in_float32():
    codes = rng.integers(-127, 128, (8, 4)).astype(np.int8)
    nodes = [node("DequantizeLinear", "w", "s", "z", output="d", name="d"), node("MatMul", "x", "d")]
    graph = graph_of(nodes, {"x": [2, 8]}, {"w": codes, "s": np.float32(0.25), "z": np.int8(0)})
    np.testing.assert_array_equal(graph.layers[0].weight, codes.T * np.float32(0.25))


TEST_ALL = os.environ.get("EDGEBN_TEST_ALL") == "1"
SEED_FILES = [
    conv_net().SerializeToString(),
    quantised_pair()[0].SerializeToString(),
    quantised_pair(100, np.uint8)[0].SerializeToString(),
]


@settings(max_examples=1000 if TEST_ALL else 60)
@given(
    st.integers(0, len(SEED_FILES) - 1),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6),
    st.integers(0, 1 << 20),
)
def test_damaged_files_raise_our_errors_only(tmp_path_factory, which, flips, cut):
    data = bytearray(SEED_FILES[which])
    for place, value in flips:
        data[place % len(data)] = value
    if cut % 3 == 0:
        del data[cut % len(data) :]
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(data)
    message = str(path)
    try:
        lower(read(path))
    except EdgebnError as error:
        message = str(error)
    assert str(path) in message
