"""Which ONNX files say that they are channels-first: the session then takes and gives (H, W, C), as docs/formats.md has it."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgebn.formats.onnx import from_proto  # noqa: E402
from edgebn.passes import lower  # noqa: E402

rng = np.random.default_rng(3)
NORM = {name: rng.uniform(0.5, 2, 8).astype(np.float32) for name in "gbmv"}


def program_of(nodes, shape, constants=(), opset=17):
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, outputs, **attributes) for operator, inputs, outputs, attributes in nodes],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()],
    )
    return lower(from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), "net.onnx"))


# Operator, its inputs behind the value, attributes, constants, and what it makes of (8, 5, 6), channels-last.
SAYS = {
    "MaxPool": ("MaxPool", [], {"kernel_shape": [2, 2]}, {}, (4, 5, 8)),
    "AveragePool": ("AveragePool", [], {"kernel_shape": [2, 2]}, {}, (4, 5, 8)),
    "GlobalAveragePool": ("GlobalAveragePool", [], {}, {}, (1, 1, 8)),
    "GlobalMaxPool": ("GlobalMaxPool", [], {}, {}, (1, 1, 8)),
    "Resize": ("Resize", ["", "s"], {}, {"s": np.float32([1, 1, 2, 2])}, (10, 12, 8)),
    "Resize to the same size": ("Resize", ["", "s"], {}, {"s": np.float32([1, 1, 1, 1])}, (5, 6, 8)),
    "BatchNormalization": ("BatchNormalization", [*"gbmv"], {}, NORM, (5, 6, 8)),
    "ReduceMean": ("ReduceMean", [], {"axes": [2, 3]}, {}, (1, 1, 8)),
    "ReduceMean from behind, axes left out": ("ReduceMean", [], {"axes": [-1, -2], "keepdims": 0}, {}, (8,)),
    "DepthToSpace": ("DepthToSpace", [], {"blocksize": 2}, {}, (10, 12, 2)),
    "SpaceToDepth": ("SpaceToDepth", [], {"blocksize": 1}, {}, (5, 6, 8)),
    "ReduceMax": ("ReduceMax", [], {"axes": [2, 3]}, {}, (1, 1, 8)),
}


@pytest.mark.parametrize("name", SAYS)
def test_operators_that_say_channels_first(name):
    """Behind an elementwise layer, which says nothing."""
    operator, inputs, attributes, constants, output = SAYS[name]
    nodes = [("Relu", ["x"], ["r"], {}), (operator, ["r", *inputs], ["y"], attributes)]
    program = program_of(nodes, (8, 5, 6), constants)
    assert program.channels_first
    assert program.shapes == {"x": (5, 6, 8), "y": output}


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"), [("BatchNormalization", [*"gbmv"], {}), ("MaxPool", [], {"kernel_shape": [1]})]
)
def test_sequences_too(operator, inputs, attributes):
    program = program_of([(operator, ["x", *inputs], ["y"], attributes)], (8, 5), NORM)
    assert program.shapes == {"x": (5, 8), "y": (5, 8)}


SILENT = {
    "Relu": ("Relu", [], {}, (8, 5, 6)),
    "Softmax": ("Softmax", [], {"axis": 1}, (8, 5, 6)),
    "MatMul": ("MatMul", ["w"], {}, (8, 5, 3)),
    "ReduceMean over rows": ("ReduceMean", [], {"axes": [2]}, (8, 1, 6)),
    "ReduceMean over all": ("ReduceMean", [], {"axes": [1, 2, 3]}, (1, 1, 1)),
    "Transpose": ("Transpose", [], {"perm": [0, 2, 3, 1]}, (5, 6, 8)),
}


@pytest.mark.parametrize("name", SILENT)
def test_operators_that_say_nothing(name):
    operator, inputs, attributes, output = SILENT[name]
    program = program_of([(operator, ["x", *inputs], ["y"], attributes)], (8, 5, 6), {"w": np.ones((6, 3), np.float32)})
    assert not program.channels_first
    assert program.shapes == {"x": (8, 5, 6), "y": output}


def test_a_mean_is_heard_only_where_nothing_else_speaks():
    """As converters from channels-last frameworks write it: the convolution's transposes tell the layout, the mean does not."""
    nodes = [
        ("Transpose", ["x"], ["t"], {"perm": [0, 3, 1, 2]}),
        ("Conv", ["t", "w"], ["c"], {}),
        ("Transpose", ["c"], ["back"], {"perm": [0, 2, 3, 1]}),
        ("ReduceMean", ["back"], ["m"], {"axes": [2, 3]}),  # over width and channels
        ("Mul", ["x", "m"], ["y"], {}),
    ]
    program = program_of(nodes, (5, 6, 8), {"w": np.ones((8, 8, 1, 1), np.float32)})
    assert program.shapes == {"x": (5, 6, 8), "y": (5, 6, 8)}
