"""What an ONNX file computes of constants alone, branches that are known while reading, and functions of the file's own."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import edgebn  # noqa: E402
from edgebn import reference  # noqa: E402
from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError  # noqa: E402
from edgebn.formats.onnx import from_proto  # noqa: E402
from edgebn.passes import lower  # noqa: E402

SHAPE = (1, 4, 5, 6)
rng = np.random.default_rng(3)


def array(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def graph(nodes, name="net", inputs=(), constants=None, outputs=("y",)):
    held = [numpy_helper.from_array(np.asarray(value), key) for key, value in (constants or {}).items()]
    return helper.make_graph(
        nodes, name, list(inputs), [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs], held
    )


def model(nodes, constants=None, functions=(), opset=17, shape=SHAPE):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(entry.domain, 1) for entry in functions)]
    proto = helper.make_model(graph(nodes, inputs=[x], constants=constants), opset_imports=imports, functions=list(functions))
    proto.ir_version = 10
    return proto


def assert_as_onnxruntime(proto, shape=SHAPE):
    x = array(*shape)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": x})
    read = from_proto(proto, "net.onnx")
    got = reference.run(lower(read), np.moveaxis(x, 1, -1) if "Convolution" in {layer.kind for layer in read.layers} else x)
    got = np.moveaxis(got, -1, 1) if got.shape != wanted.shape else got
    assert np.abs(got - wanted).max() <= 1e-5 * np.ptp(wanted)
    return read


node = helper.make_node

# Nodes that make 'k' of constants, which x is added to; and the constants.
COMPUTED = {
    "position": (
        [node("CumSum", ["ones", "axis"], ["rows"]), node("Sin", ["rows"], ["s"]), node("Cos", ["rows"], ["c"]),
         node("Concat", ["s", "c"], ["sc"], axis=1), node("Conv", ["sc", "w", "b"], ["k"])],
        {"ones": np.ones((1, 2, 5, 6), np.float32), "axis": np.array(2), "w": array(4, 4, 1, 1), "b": array(4)},
    ),
    "grouped convolution": (
        [node("Conv", ["a", "w"], ["k"], group=2, pads=[1, 1, 1, 1], strides=[2, 1])],
        {"a": array(1, 4, 9, 6), "w": array(4, 2, 3, 3)},
    ),
    "softmax": ([node("Softmax", ["a"], ["k"], axis=1)], {"a": array(1, 4, 5, 6)}),
    "mask": (
        [node("Greater", ["a", "b"], ["g"]), node("Less", ["a", "c"], ["l"]), node("And", ["g", "l"], ["m"]),
         node("Cast", ["m"], ["k"], to=TensorProto.FLOAT)],
        {"a": array(4, 5, 6), "b": np.float32(-0.5), "c": np.float32(0.8)},
    ),
    "split": ([node("Split", ["a"], ["s", "unused", "last"]), node("Mul", ["s", "last"], ["k"])], {"a": array(12, 1, 6)}),
    "one hot": (
        [node("OneHot", ["i", "d", "v"], ["k"])],
        {"i": np.arange(5), "d": np.array(6), "v": np.array([-1, 2], np.float32)},
    ),
    "places": (
        [node("NonZero", ["a"], ["n"]), node("Cast", ["n"], ["f"], to=TensorProto.FLOAT),
         node("ReduceSum", ["f"], ["k"], keepdims=0)],
        {"a": (array(4, 5) > 0).astype(np.float32)},
    ),
    "weight norm": (
        [node("ReduceL2", ["a"], ["n"], axes=[1, 2], keepdims=1), node("Div", ["a", "n"], ["k"])], {"a": array(4, 5, 6)},
    ),
    "position bias": (
        [node("MatMul", ["a", "b"], ["p"]), node("ReduceMean", ["p"], ["k"], axes=[0, 1], keepdims=0)],
        {"a": array(200, 200, 3), "b": array(3, 6)},
    ),
    "position grid": (
        [node("Trilu", ["a"], ["t"]), node("Mod", ["t", "m"], ["k"], fmod=1)], {"a": array(5, 6), "m": np.float32(0.7)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTED)
def test_constants_are_computed_while_reading(name):
    nodes, constants = COMPUTED[name]
    read = assert_as_onnxruntime(model([*nodes, node("Add", ["x", "k"], ["y"])], constants))
    assert {layer.kind for layer in read.layers} <= {"Constant", "Add", "Identity"}


@pytest.mark.parametrize(
    ("nodes", "constants", "words"),
    [
        ([node("RandomNormal", [], ["k"], shape=[4])], {}, "does not compute it while reading"),
        ([node("Bernoulli", ["a"], ["k"])], {"a": array(4)}, "does not compute it while reading"),
        ([node("Tile", ["a", "r"], ["k"])], {"a": array(1, 4), "r": np.array([1 << 30, 1 << 20])}, "negative or larger than"),
        ([node("Tile", ["a", "r"], ["k"])], {"a": array(1, 4), "r": np.array([1 << 22, 1])}, "too large to compute"),
        ([node("Conv", ["a", "w"], ["k"])], {"a": array(1, 3, 5, 5), "w": array(4, 2, 3, 3)}, "X.shape"),
        ([node("MatMul", ["a", "b"], ["k"])], {"a": array(2, 3), "b": array(4, 5)}, "do not fit together"),
    ],
)
def test_what_cannot_be_computed_is_refused(nodes, constants, words):
    with pytest.raises(EdgebnError, match=words):
        from_proto(model([*nodes, node("Add", ["x", "k"], ["y"])], constants), "net.onnx")


def branching(condition, *ahead, constants=None):
    """An If both of whose branches read x; its name is that of layers within."""
    then = graph([node("Relu", ["x"], ["r"]), node("Mul", ["r", "c"], ["t"])], "then", constants={"c": array(6)}, outputs=["t"])
    other = graph([node("Sigmoid", ["x"], ["e"])], "other", outputs=["e"])
    branch = node("If", [condition], ["i"], name="branch", then_branch=then, else_branch=other)
    return model([*ahead, branch, node("Tanh", ["i"], ["y"])], constants)


@pytest.mark.parametrize("taken", [True, False])
def test_the_branch_that_is_taken_is_read(taken):
    read = assert_as_onnxruntime(branching("c", constants={"c": np.array(taken)}))
    assert {layer.function for layer in read.layers if layer.kind == "Activation"} == {"clip" if taken else "sigmoid", "tanh"}
    assert any(layer.name.startswith("branch/") for layer in read.layers)


def test_a_branch_by_sizes_is_known():
    """As PyTorch's exporter asks before it squeezes an axis."""
    sizes = [node("Shape", ["x"], ["s"]), node("Gather", ["s", "one"], ["g"]), node("Equal", ["g", "four"], ["c"])]
    assert_as_onnxruntime(branching("c", *sizes, constants={"one": np.array(1), "four": np.array(4)}))


def test_the_output_of_a_branch_may_be_the_networks():
    then, other = (graph([node(kind, ["x"], [name])], name, outputs=[name]) for kind, name in (("Relu", "t"), ("Tanh", "e")))
    assert_as_onnxruntime(model([node("If", ["c"], ["y"], then_branch=then, else_branch=other)], {"c": np.array(False)}))


def test_a_branch_by_values_is_refused():
    ahead = [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Greater", ["m", "z"], ["c"])]
    with pytest.raises(UnsupportedLayerError, match=r"Greater|condition is computed by the network"):
        from_proto(branching("c", *ahead, constants={"z": np.float32(0)}), "net.onnx")


def block(name, nodes, attributes=()):
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    return helper.make_function("mine", name, ["a", "w"], ["b"], nodes, imports, attributes=list(attributes))


def test_functions_of_the_file_are_read():
    """One calls the other; an attribute is handed in."""
    leaky = helper.make_node("LeakyRelu", ["c"], ["b"])
    leaky.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    inner = block("Inner", [node("Conv", ["a", "w"], ["c"], pads=[1, 1, 1, 1]), leaky], ["slope"])
    calls = [node("Inner", ["a", "w"], ["m"], domain="mine", slope=0.2), node("Inner", ["m", "w"], ["b"], domain="mine", slope=0.5)]
    outer = block("Outer", calls)
    assert_as_onnxruntime(model([node("Outer", ["x", "w"], ["y"], domain="mine")], {"w": array(4, 4, 3, 3)}, [inner, outer]))


def test_functions_that_call_themselves_or_grow_without_end_are_refused():
    endless = block("Endless", [node("Endless", ["a", "w"], ["b"], domain="mine")])
    with pytest.raises(ModelError, match="calls itself"):
        from_proto(model([node("Endless", ["x", "x"], ["y"], domain="mine")], functions=[endless]), "net.onnx")
    levels = [block("L0", [node("Add", ["a", "w"], ["b"])])]
    for level in range(1, 12):
        names = ["a", *(f"v{step}" for step in range(7)), "b"]
        chain = [node(f"L{level - 1}", [names[step], "w"], [names[step + 1]], domain="mine") for step in range(8)]
        levels.append(block(f"L{level}", chain))
    with pytest.raises(ModelError, match="make more than"):
        from_proto(model([node("L11", ["x", "x"], ["y"], domain="mine")], functions=levels), "net.onnx")


def quantized_dynamically(path, **settings):
    quantization = pytest.importorskip("onnxruntime.quantization", reason="this onnxruntime has no quantizer")
    proto = model(
        [node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"], name="relu"),
         node("GlobalAveragePool", ["r"], ["p"], name="pool"), node("Flatten", ["p"], ["f"], name="flat"),
         node("MatMul", ["f", "m"], ["d"], name="dense"), node("Add", ["d", "e"], ["y"], name="bias")],
        {"w": array(8, 4, 3, 3), "b": array(8), "m": array(8, 3), "e": array(3)},
    )  # fmt: skip
    onnx.save(proto, path / "float.onnx")
    quantization.quantize_dynamic(path / "float.onnx", path / "int8.onnx", **settings)
    return proto, onnx.load(path / "int8.onnx")


@pytest.mark.parametrize("settings", [{}, {"per_channel": True}, {"reduce_range": True}])
def test_files_of_quantize_dynamic(tmp_path, settings):
    """They run as the same network in float32 with the weights that the file holds."""
    proto, quantized = quantized_dynamically(tmp_path, **settings)
    assert {"ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"} <= {entry.op_type for entry in quantized.graph.node}
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    for tensor in proto.graph.initializer:
        if f"{tensor.name}_quantized" in held:
            codes, scale, zero = (held[f"{tensor.name}_{what}"] for what in ("quantized", "scale", "zero_point"))
            tensor.CopyFrom(numpy_helper.from_array((codes.astype(np.float32) - zero) * scale, tensor.name))
    x = array(*SHAPE)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": x})
    got = reference.run(lower(from_proto(quantized, "net.onnx")), np.moveaxis(x, 1, -1))
    assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_a_large_product_of_constants_is_counted_by_what_is_summed(tmp_path):
    """The network of positions of Swin V2: 2401 rows, 384 numbers each."""
    rng = np.random.default_rng(5)
    rows, first, second = (rng.normal(0, 1, shape).astype(np.float32) for shape in ((2401, 2), (384, 2), (384, 6)))
    nodes = [
        helper.make_node("Gemm", ["rows", "first"], ["hidden"], transB=1),
        helper.make_node("Relu", ["hidden"], ["bent"]),
        helper.make_node("Gemm", ["bent", "second"], ["table"]),
        helper.make_node("Add", ["x", "table"], ["y"]),
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2401, 6])]
    net = graph(nodes, inputs=given, constants={"rows": rows, "first": first, "second": second})
    onnx.save(helper.make_model(net, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "net.onnx")
    x = rng.normal(0, 1, (1, 2401, 6)).astype(np.float32)
    wanted = x + np.maximum(rows @ first.T, 0) @ second
    np.testing.assert_allclose(edgebn.Session(edgebn.load(tmp_path / "net.onnx")).run(x), wanted, rtol=0, atol=1e-4)
