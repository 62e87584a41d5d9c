"""Damage to ONNX files: bytes, node inputs and attributes (cycles included), tensor shapes and values."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.fuzz import damage


def _network(rng: np.random.Generator) -> bytes:
    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "conv1", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        helper.make_node("BatchNormalization", ["c1", "g", "b", "m", "v"], ["n1"], "norm1", epsilon=1e-3),
        helper.make_node("Relu", ["n1"], ["r1"], "relu1"),
        helper.make_node("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], "conv2", kernel_shape=[1, 1], group=2),
        helper.make_node("Clip", ["c2", "zero", "six"], ["a2"], "clip2"),
        helper.make_node("Add", ["a2", "p1"], ["s"], "add"),
        helper.make_node("Concat", ["s", "p1"], ["t"], "concat", axis=1),
        helper.make_node("Resize", ["t", "", "scales"], ["u"], "resize", mode="nearest"),
        helper.make_node("Pad", ["u", "pads"], ["pp"], "pad"),
        helper.make_node("AveragePool", ["pp"], ["ap"], "average", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        helper.make_node("GlobalAveragePool", ["ap"], ["ga"], "global"),
        helper.make_node("Reshape", ["ga", "shape"], ["f"], "reshape"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["d"], "gemm", transB=1),
        helper.make_node("Softmax", ["d"], ["y"], "softmax", axis=1),
    ]
    constants = [
        weight("w1", 4, 3, 3, 3), weight("g", 4), weight("b", 4), weight("m", 4),
        numpy_helper.from_array(rng.uniform(0.5, 2, 4).astype(np.float32), "v"),
        weight("w2", 4, 2, 1, 1), weight("b2", 4), weight("w3", 5, 8), weight("b3", 5),
        numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(np.float32(6), "six"),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        numpy_helper.from_array(np.array([0, 0, 1, 0, 0, 0, 0, 1], np.int64), "pads"),
        numpy_helper.from_array(np.array([0, -1], np.int64), "shape"),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def _through_the_batch(rng: np.random.Generator) -> bytes:
    """A network that folds, moves and cuts its batch of one."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("Reshape", ["c", "folded"], ["f"], "fold"),
        helper.make_node("Transpose", ["f"], ["t"], "move", perm=[1, 0, 2]),
        helper.make_node("Reshape", ["t", "halves"], ["h"], "unfold"),
        helper.make_node("Gather", ["h", "zero"], ["a"], "index", axis=0),
        helper.make_node("Split", ["h"], ["b", "d"], "split", axis=0),
        helper.make_node("Squeeze", ["d", "front"], ["e"], "squeeze"),
        helper.make_node("Slice", ["b", "front", "end", "front"], ["s"], "slice"),
        helper.make_node("Concat", ["a", "e"], ["j"], "join", axis=1),
        helper.make_node("Unsqueeze", ["a", "front"], ["u"], "unsqueeze"),
        helper.make_node("Add", ["u", "s"], ["m"], "sum"),
        helper.make_node("DepthToSpace", ["j"], ["p"], "pixels", blocksize=2),
        helper.make_node("Flatten", ["m"], ["flat"], "flatten", axis=0),
        helper.make_node("ReduceMean", ["p"], ["r"], "mean", axes=[0, 2]),
    ]
    numbers = {"folded": [4, 2, 12], "halves": [2, -1, 4, 3, 4], "zero": 0, "front": [0], "end": [9]}
    constants = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in numbers.items()]
    constants.append(numpy_helper.from_array(rng.normal(0, 0.3, (8, 3, 1, 1)).astype(np.float32), "w"))
    graph = helper.make_graph(
        nodes,
        "batch",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 3, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("flat", "r")],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def _quantised(rng: np.random.Generator, dtype: type) -> bytes:
    """Codes between QuantizeLinear and DequantizeLinear up to a softmax, a state beside them that stays float32."""
    zero = dtype(131 if dtype is np.uint8 else 3)
    constants = {
        "s": np.float32(0.04), "z": zero, "ws": np.float32([0.01, 0.02, 0.005, 0.01]), "wz": np.zeros(4, np.int8),
        "w": rng.integers(-127, 128, (4, 3, 3)).astype(np.int8), "b": rng.integers(-900, 900, 4).astype(np.int32),
        "bs": np.float32([0.0004, 0.0008, 0.0002, 0.0004]), "begin": np.int64([-2]), "end": np.int64([2**40]),
        "axis": np.int64([2]),
    }  # fmt: skip
    nodes = []

    def codes(name: str) -> str:
        nodes.append(helper.make_node("QuantizeLinear", [name, "s", "z"], [f"{name}_q"], f"{name}_quantize"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", "s", "z"], [f"{name}_d"], f"{name}_dequantize"))
        return f"{name}_d"

    nodes.append(helper.make_node("Concat", ["past", "x"], ["window"], "window", axis=2))
    window = codes("window")
    nodes.append(helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["w_d"], "weight", axis=0))
    nodes.append(helper.make_node("DequantizeLinear", ["b", "bs"], ["b_d"], "bias", axis=0))
    nodes.append(helper.make_node("Conv", [window, "w_d", "b_d"], ["c"], "conv"))
    nodes.append(helper.make_node("Softmax", [codes("c")], ["y"], "softmax", axis=1))
    nodes.append(helper.make_node("Slice", ["window", "begin", "end", "axis"], ["past_out"], "past"))
    shapes = {"x": (1, 3, 4), "past": (1, 3, 2), "y": (1, 4, 4), "past_out": (1, 3, 2)}
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "codes", [ends["x"], ends["past"]], [ends["y"], ends["past_out"]], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def states_of(content: bytes) -> dict[str, str]:
    """Return the states that a seed's file has, damaged or not: input to output."""
    return {"past": "past_out"} if b"past_out" in content else {}


def _whole_numbers(rng: np.random.Generator) -> bytes:
    """Places that ArgMax finds and Gather reads, compared and cast, besides a convolution of float32."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("ArgMax", ["c"], ["place"], "largest", axis=1, keepdims=1),
        helper.make_node("Equal", ["place", "places"], ["mask"], "mask"),
        helper.make_node("Where", ["mask", "c", "none"], ["one"], "choice"),
        helper.make_node("Cast", ["place"], ["real"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Add", ["one", "real"], ["y"], "add"),
    ]
    constants = [
        numpy_helper.from_array(rng.normal(0, 0.3, (4, 3, 1)).astype(np.float32), "w"),
        numpy_helper.from_array(np.arange(4, dtype=np.int64).reshape(1, 4, 1), "places"),
        numpy_helper.from_array(np.float32(0), "none"),
    ]
    graph = helper.make_graph(
        nodes,
        "whole",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 5])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def _boxes(rng: np.random.Generator) -> bytes:
    """Boxes and scores that a product of matrices makes, the best of them picked by NonMaxSuppression and gathered."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["both"], "dense"),
        helper.make_node("Split", ["both"], ["b", "logits"], "halves", axis=2),
        helper.make_node("Transpose", ["logits"], ["moved"], "move", perm=[0, 2, 1]),
        helper.make_node("Sigmoid", ["moved"], ["s"], "scores"),
        helper.make_node("NonMaxSuppression", ["b", "s", "most", "overlap", "least"], ["rows"], "boxes", center_point_box=1),
        helper.make_node("Gather", ["rows", "two"], ["place"], "column", axis=1),
        helper.make_node("Squeeze", ["place", "one"], ["index"], "squeeze"),
        helper.make_node("Reshape", ["b", "flat"], ["flat_b"], "flatten"),
        helper.make_node("Gather", ["flat_b", "index"], ["found"], "pick"),
        helper.make_node("Cast", ["rows"], ["real"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Concat", ["real", "found"], ["y"], "join", axis=1),
    ]
    numbers = {"most": [3], "two": [2], "one": [1], "flat": [-1, 4]}
    constants = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in numbers.items()]
    constants += [
        numpy_helper.from_array(np.array([value], np.float32), name) for name, value in (("overlap", 0.5), ("least", 0.4))
    ]
    constants.append(numpy_helper.from_array(rng.normal(0, 0.5, (6, 8)).astype(np.float32), "w"))
    graph = helper.make_graph(
        nodes,
        "boxes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def _recurrent(rng: np.random.Generator) -> bytes:
    """An LSTM in both directions and a GRU behind it, the first with a first state, the second read at its end alone."""
    shapes = {"w1": (2, 16, 3), "r1": (2, 16, 4), "b1": (2, 32), "h1": (2, 1, 4), "w2": (1, 15, 8), "r2": (1, 15, 5), "b2": (1, 30)}
    arrays = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    arrays |= {"shape": np.int64([0, 0, -1]), "lengths": np.int32([5])}
    both = ["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Relu", "Relu"]
    nodes = [
        helper.make_node(
            "LSTM",
            ["x", "w1", "r1", "b1", "lengths", "h1"],
            ["y1"],
            "first",
            hidden_size=4,
            direction="bidirectional",
            activations=both,
        ),
        helper.make_node("Transpose", ["y1"], ["t1"], "turn", perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["t1", "shape"], ["z1"], "flat"),
        helper.make_node("GRU", ["z1", "w2", "r2", "b2"], ["", "y"], "second", hidden_size=5, linear_before_reset=1),
    ]
    graph = helper.make_graph(
        nodes,
        "recurrent",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8).SerializeToString()


def seeds() -> list[bytes]:
    rngs = [np.random.default_rng(seed) for seed in range(3)]
    quantised = [_quantised(rng, dtype) for rng in rngs[:2] for dtype in (np.int8, np.uint8)]
    return [
        *map(_network, rngs),
        *map(_through_the_batch, rngs),
        *quantised,
        *map(_whole_numbers, rngs[:2]),
        *map(_boxes, rngs[:2]),
        *map(_recurrent, rngs[:2]),
    ]


def _mutate_node(graph: onnx.GraphProto, rng: np.random.Generator) -> None:
    node = graph.node[int(rng.integers(len(graph.node)))]
    names = [name for other in graph.node for name in (*other.input, *other.output)]
    kind = rng.integers(5)
    if kind == 0 and node.input:  # any value as input: cycles, wrong shapes, missing values
        node.input[int(rng.integers(len(node.input)))] = names[int(rng.integers(len(names)))]
    elif kind == 1 and node.attribute:
        attribute = node.attribute[int(rng.integers(len(node.attribute)))]
        value = damage.ABSURD[int(rng.integers(len(damage.ABSURD)))]
        value = max(-(2**63), min(value, 2**63 - 1))
        if attribute.ints:
            attribute.ints[int(rng.integers(len(attribute.ints)))] = value
        else:
            attribute.i = value
            attribute.f = float(rng.choice([np.nan, np.inf, -1.0, 0.0]))
    elif kind == 2:
        node.op_type = graph.node[int(rng.integers(len(graph.node)))].op_type
    elif kind == 3 and node.input:
        del node.input[int(rng.integers(len(node.input))) :]
    else:
        node.output[0] = names[int(rng.integers(len(names)))]


def _mutate_tensor(graph: onnx.GraphProto, rng: np.random.Generator) -> None:
    tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
    kind = rng.integers(4)
    if kind <= 1:
        try:
            array = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError):  # damaged already
            return
        replacement = damage.poisoned(array, rng) if kind else np.resize(array, (*array.shape, 2))
        tensor.CopyFrom(numpy_helper.from_array(replacement, tensor.name))
    elif kind == 2 and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = int(rng.choice([-1, 0, 3, 2**31, 2**62]))
    else:
        tensor.data_type = int(rng.integers(0, 30))


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.integers(3) == 0:
        return damage.bytes_at_random(content, rng)
    model = onnx.load_from_string(content)
    for _ in range(int(rng.integers(1, 3))):
        (_mutate_node, _mutate_tensor)[int(rng.integers(2))](model.graph, rng)
    if rng.integers(8) == 0:
        dims = model.graph.input[0].type.tensor_type.shape.dim
        dims[int(rng.integers(len(dims)))].dim_value = int(rng.choice([-5, 0, 1, 2**31, 2**62]))
    return model.SerializeToString()
