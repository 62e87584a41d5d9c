"""ONNX models for the rows of the reader: the onnx package's own tests of one node, and others against onnxruntime.

A row that the onnx package tests needs nothing here; the operators of onnxruntime's quantizer, and what it tests in other ways, do.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.runner import Runner, _normalize_tensor

from edgebn.errors import UnsupportedLayerError
from edgebn.formats.onnx.table import OPERATORS
from tests.formats.onnx.onnx_backend import EdgebnRep, reference_engine
from tests.formats.onnx.onnx_fused import fused_nodes
from tests.formats.onnx.test_onnx_backend import AS_ONNXRUNTIME, expected_refusal, node_cases
from tests.formats.onnx.test_onnx_backend import OPERATORS as WITH_NODE_TESTS
from tests.formats.reader_cases import Case, error_between

MAX_NODE_TESTS = 12  # of one operator
MICROSOFT = "com.microsoft"
X_SCALE, Y_SCALE = 0.05, 0.04
SHAPE = (2, 4, 5, 6)
RNG = np.random.default_rng(11)
OWN = np.random.default_rng(12)  # of cases that came later
COLUMN = np.linspace(-1, 1, 5, dtype=np.float32)[:, None]


def cases() -> list[Case]:
    """Return the cases of every row."""
    tested = [case for row in OPERATORS if row in WITH_NODE_TESTS for case in _node_tests(row)]
    return [*tested, *(_against(*case) for case in (*_models(), *_folds())), Case("Cast", _cast_error), _dynamic_lstm()]


# The package's tests -------------------------------------------------------------------------------------------------------


def _node_tests(operator: str) -> list[Case]:
    found = [case for case in node_cases(operator) if expected_refusal(case.name) is None and case.name not in AS_ONNXRUNTIME]
    return [Case(case.name, lambda case=case: _node_error(case)) for case in found[:MAX_NODE_TESTS]]


def _node_error(case) -> float:
    for inputs, outputs in case.data_sets:
        given = EdgebnRep(case.model, reference_engine).run([_normalize_tensor(array) for array in inputs])
        outputs = [array.astype(np.float32) if array.dtype == np.float64 else array for array in outputs]  # run in float32
        Runner.assert_similar_outputs([_normalize_tensor(array) for array in outputs], given, rtol=case.rtol, atol=case.atol)
    return 0.0


# Against onnxruntime ---------------------------------------------------------------------------------------------------------

Model = tuple[str, onnx.ModelProto, float]  # name, model of one float32 input 'x' of SHAPE, what its numbers may be off by


def _against(name: str, model: onnx.ModelProto, step: float) -> Case:
    shape = tuple(axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim)
    x = RNG.normal(0, 2, shape).astype(np.float32)
    if name == "QLinearReduceMean":  # onnxruntime defines it and has no implementation of it
        wanted = (np.rint(x / X_SCALE).clip(-121, 134) * X_SCALE).mean(2, keepdims=True)
    else:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        wanted = session.run(None, {"x": x})[0]

    def error() -> float:
        (got,) = EdgebnRep(model, reference_engine).run([x])
        return float(np.abs(got - wanted).max() / step) if step and got.shape == wanted.shape else error_between(got, wanted)

    return Case(name, error)


def _dynamic_lstm() -> Case:
    """DynamicQuantizeLSTM beside an LSTM of the same weights: onnxruntime rounds besides what enters."""
    moments, inputs, units = 5, 4, 3
    codes = {name: OWN.integers(-90, 90, (1, width, 4 * units)).astype(np.int8) for name, width in (("w", inputs), ("r", units))}
    held = {
        "bias": OWN.normal(0, 0.5, (1, 8 * units)).astype(np.float32),
        "scale": np.full(1, 0.01, np.float32),
        "zero": np.int8([3]),
    }
    real = {name: ((array - np.float32(3)) * np.float32(0.01)).transpose(0, 2, 1) for name, array in codes.items()}
    scales = ["scale", "zero"] * 2
    nodes = [
        [
            helper.make_node(
                "DynamicQuantizeLSTM", ["x", "w", "r", "bias", "", "", "", "", *scales], ["y"], domain=MICROSOFT, hidden_size=units
            )
        ],
        [helper.make_node("LSTM", ["x", "w", "r", "bias"], ["y"], hidden_size=units)],
    ]
    ours, theirs = (_model(made, held | arrays, (moments, 1, inputs)) for made, arrays in zip(nodes, (codes, real), strict=True))
    x = OWN.normal(0, 2, (moments, 1, inputs)).astype(np.float32)
    wanted = onnxruntime.InferenceSession(theirs.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    return Case("DynamicQuantizeLSTM", lambda: error_between(EdgebnRep(ours, reference_engine).run([x])[0][0], wanted))


def _model(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], shape: tuple[int, ...] = SHAPE) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)])
    model.ir_version = 10
    return model


def _float(name: str, nodes: list[onnx.NodeProto], **constants: np.ndarray) -> Model:
    return name, _model(nodes, constants), 0.0


def _quantized(operator: str, inputs: list[str], domain: str = MICROSOFT, ahead: tuple = (), out_scale: float = Y_SCALE,
               constants: dict[str, np.ndarray] | None = None, **attributes) -> Model:  # fmt: skip
    """Return QuantizeLinear, `ahead`, the operator on the codes 'q', DequantizeLinear."""
    held = {"xs": np.float32(X_SCALE), "xz": np.uint8(121), "ys": np.float32(out_scale), "yz": np.uint8(99), **(constants or {})}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        *ahead,
        helper.make_node(operator, inputs, ["c"], domain=domain, **attributes),
        helper.make_node("DequantizeLinear", ["c", "ys", "yz"], ["y"]),
    ]
    return operator, _model(nodes, held), 1.01 * out_scale


def _dynamic(operator: str, ahead: tuple = (), zero_point: int = 0, weight: np.ndarray | None = None, **attributes) -> Model:
    """Return an operator behind DynamicQuantizeLinear of values that 8 bits hold exactly, between -4 and 4 - 1/32."""
    node = helper.make_node
    nodes = [
        node("Mul", ["x", "steps"], ["m"]),
        node("Round", ["m"], ["r"]),
        node("Mul", ["r", "step"], ["k"]),
        node("Clip", ["k", "low", "high"], ["l"]),
        *ahead,
        node("DynamicQuantizeLinear", ["f" if ahead else "l"], ["q", "qs", "qz"]),
        node("Mul", ["qs", "ws"], ["s"]),
        node(operator, ["q", "w", "qz", "wz"], ["i"], **attributes),
        node("Cast", ["i"], ["c"], to=TensorProto.FLOAT),
        node("Mul", ["c", "s"], ["y"]),
    ]
    held = {"steps": np.float32(32), "step": np.float32(1 / 32), "low": np.float32(-4), "high": np.float32(127 / 32)}
    held |= {"w": weight, "ws": np.float32(0.01), "wz": np.array(zero_point, weight.dtype)}
    return operator, _model(nodes, held), 0.0


UNARY = ["q", "xs", "xz", "ys", "yz"]


def _weights(*shape: int) -> dict[str, np.ndarray]:
    return {"w": RNG.integers(-90, 90, shape).astype(np.int8), "ws": np.float32(0.01), "wz": np.int8(0)}


def _models() -> list[Model]:
    node = helper.make_node
    codes = RNG.integers(0, 256, (1, 4, 1, 6)).astype(np.uint8)
    other = {"o": codes, "os": np.float32(0.03), "oz": np.uint8(140)}
    flat = (node("Flatten", ["q"], ["f"]),)
    image, row = np.prod(SHAPE[1:]), ["w", "ws", "wz"]
    return [
        _float("LayerNormalization", [node("LayerNormalization", ["x", "g", "b"], ["y"], axis=2, epsilon=0.01)],
               g=RNG.normal(1, 1, SHAPE[2:]).astype(np.float32), b=RNG.normal(0, 1, SHAPE[3:]).astype(np.float32)),
        _float("Max", [node("Max", ["x", "c"], ["y"])], c=np.float32(0.4)),
        _float("Max of a constant", [node("Max", ["c", "x"], ["y"])], c=np.float32(0.4)),
        _float("Max of a vector", [node("Max", ["x", "c"], ["y"])], c=COLUMN),
        _float("Min of a vector", [node("Min", ["c", "x"], ["y"])], c=COLUMN),
        _float("Sub of values", [node("Tanh", ["x"], ["t"]), node("Sub", ["t", "x"], ["y"])]),
        _float("Div of values", [node("Sigmoid", ["x"], ["t"]), node("Div", ["x", "t"], ["y"])]),
        _float("Min", [node("Min", ["c", "x"], ["y"])], c=np.float32(0.4)),
        _float("Shape", [node("Shape", ["x"], ["s"], start=1, end=3), node("Concat", ["m", "s", "m1"], ["t"], axis=0),
                         node("Reshape", ["x", "t"], ["y"])], m=np.array([2], np.int64), m1=np.array([-1], np.int64)),
        _float("Size", [node("Size", ["x"], ["s"]), node("Div", ["s", "m"], ["d"]), node("Concat", ["m", "d"], ["t"], axis=0),
                        node("Reshape", ["x", "t"], ["y"])], m=np.array([2], np.int64)),
        _quantized("QLinearAdd", ["q", "xs", "xz", "o", "os", "oz", "ys", "yz"], constants=other),
        _quantized("QLinearMul", ["q", "xs", "xz", "o", "os", "oz", "ys", "yz"], constants=other),
        _quantized("QLinearConcat", ["ys", "yz", "q", "xs", "xz", "q", "xs", "xz"], axis=2),
        _quantized("QLinearAveragePool", UNARY, kernel_shape=[2, 3], strides=[1, 2]),
        _quantized("QLinearGlobalAveragePool", ["p", *UNARY[1:]], ahead=(node("MaxPool", ["q"], ["p"], kernel_shape=[2, 2]),),
                   channels_last=0),
        _quantized("QLinearReduceMean", UNARY, axes=[2], keepdims=1),
        _quantized("QLinearSigmoid", UNARY, out_scale=1 / 128),
        _quantized("QLinearLeakyRelu", UNARY, alpha=0.3),
        _quantized("QLinearSoftmax", UNARY, axis=3, opset=13, out_scale=1 / 128),
        _quantized("QLinearConv", [*UNARY[:3], *row, "ys", "yz", "b"], domain="", out_scale=0.2,
                   constants={**_weights(3, 4, 3, 3), "b": RNG.integers(-900, 900, 3).astype(np.int32)}),
        _quantized("QLinearMatMul", ["f", "xs", "xz", *row, "ys", "yz"], domain="", ahead=flat, out_scale=0.3,
                   constants=_weights(image, 5)),
        _quantized("QGemm", ["f", "xs", "xz", *row, "b", "ys", "yz"], ahead=flat, out_scale=0.3, transB=1,
                   constants={**_weights(5, image), "b": RNG.integers(-900, 900, 5).astype(np.int32)}),
        _dynamic("ConvInteger", zero_point=117, weight=OWN.integers(0, 256, (3, 4, 3, 3)).astype(np.uint8), pads=[1, 1, 0, 2]),
        _dynamic("MatMulInteger", ahead=(node("Flatten", ["l"], ["f"]),), weight=OWN.integers(-90, 90, (image, 5)).astype(np.int8)),
        _float("Pow of a constant", [node("Tanh", ["x"], ["t"]), node("Pow", ["c", "t"], ["y"])], c=np.float32(1.7)),
        _float("Pow by others", [node("Abs", ["x"], ["a"]), node("Pow", ["a", "b"], ["p"]), node("Pow", ["a", "c"], ["q"]),
                                 node("Pow", ["a", "d"], ["r"]), node("Sum", ["p", "q", "r"], ["y"])],
               b=np.float32(0.75), c=np.float32(3), d=np.float32(5)),
        _float("Pow element by element", [node("Pow", ["x", "b"], ["p"]), node("Clip", ["p", "l", "h"], ["y"])],
               b=np.array([2, 3, 0, 1, -1, -2], np.float32), l=np.float32(-9), h=np.float32(9)),
        _float("PRelu of a computed slope", [node("Tanh", ["x"], ["t"]), node("PRelu", ["x", "t"], ["y"])]),
        _float("LpPool", [node("LpPool", ["x"], ["y"], kernel_shape=[2, 3], strides=[1, 2], pads=[1, 0, 0, 1])]),
        _float("LpPool of magnitudes", [node("LpPool", ["x"], ["y"], kernel_shape=[2, 2], p=1)]),
        _float("LpPool of cubes", [node("LpPool", ["x"], ["y"], kernel_shape=[2, 2], p=3)]),
        _float("GlobalLpPool", [node("GlobalLpPool", ["x"], ["y"])]),
        _float("LogSoftmax of all", [node("LogSoftmax", ["x"], ["y"], axis=1)]),
        _float("Mod of real numbers", [node("Mod", ["x", "c"], ["y"], fmod=1)], c=np.array([0.7, -0.7, 1, 3, 0.1, 2], np.float32)),
        _float("Einsum", [node("Einsum", ["x", "c"], ["y"], equation="nchw,kc->nhkw")],
               c=OWN.normal(0, 1, (5, 4)).astype(np.float32)),
        _float("Einsum of values", [node("Tanh", ["x"], ["t"]), node("Einsum", ["x", "t"], ["y"], equation="nchw,ncvw->nhcv")]),
        _float("Einsum by a stack", [node("Tanh", ["x"], ["t"]), node("Einsum", ["c", "t"], ["y"], equation="ckw,nchw->nkch")],
               c=OWN.normal(0, 1, (4, 3, 6)).astype(np.float32)),
        _float("MatMul from the left", [node("Tanh", ["x"], ["t"]), node("MatMul", ["c", "t"], ["y"])],
               c=OWN.normal(0, 1, (3, 5)).astype(np.float32)),
        _float("MatMul by a stack", [node("MatMul", ["x", "c"], ["y"])], c=OWN.normal(0, 1, (4, 6, 3)).astype(np.float32)),
        *_whole_numbers(),
        *_picked(),
        _float("GatherElements by constants", [node("GatherElements", ["x", "i"], ["y"], axis=2)],
               i=np.broadcast_to(np.array([[3, -1], [0, 2]]), (2, 3, 2, 2))),
        *(_float(name, nodes, **held) for name, (nodes, held) in fused_nodes().items()),
        _nhwc_max_pool(),
        _float("ReduceLogSumExp", [node("ReduceLogSumExp", ["x"], ["y"], axes=[2, 3])]),
    ]  # fmt: skip


def _nhwc_max_pool() -> Model:
    last, first = (
        helper.make_node("Transpose", [a], [b], perm=perm) for a, b, perm in (("q", "l", [0, 2, 3, 1]), ("m", "c", [0, 3, 1, 2]))
    )
    pool = helper.make_node("NhwcMaxPool", ["l"], ["m"], domain=MICROSOFT, kernel_shape=[2, 3], strides=[1, 2])
    held = {"xs": np.float32(X_SCALE), "xz": np.uint8(121)}
    nodes = [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), last, pool, first]
    return "NhwcMaxPool", _model([*nodes, helper.make_node("DequantizeLinear", ["c", "xs", "xz"], ["y"])], held), 0.0


def _whole_numbers() -> list[Model]:
    """Return models that count, compare and choose, whose outputs are cast to real numbers."""
    node = helper.make_node
    back = node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)
    whole = node("Cast", ["x"], ["k"], to=TensorProto.INT64)
    floor = node("Floor", ["x"], ["f"])
    low, high = node("Less", ["x", "l"], ["a"]), node("Greater", ["x", "h"], ["b"])
    bounds = {"l": np.float32(-0.5), "h": np.float32(-1.5)}
    column = np.array([[-2], [3], [2], [1], [-1]], np.int64)
    made = {
        "Cast to whole numbers": ([node("Cast", ["x"], ["i"], to=TensorProto.INT32)], {}),
        "Cast to truth": ([floor, node("Cast", ["f"], ["i"], to=TensorProto.BOOL)], {}),
        "Cast to bytes": ([whole, node("Mul", ["k", "c"], ["m"]), node("Cast", ["m"], ["i"], to=TensorProto.UINT8)],
                          {"c": np.array(100, np.int64)}),
        "IsNaN": ([node("Sqrt", ["x"], ["r"]), node("IsNaN", ["r"], ["i"])], {}),
        "IsInf": ([node("Relu", ["x"], ["r"]), node("Log", ["r"], ["l"]), node("IsInf", ["l"], ["i"])], {}),
        "IsInf of one side": ([node("Relu", ["x"], ["r"]), node("Log", ["r"], ["l"]),
                               node("IsInf", ["l"], ["i"], detect_positive=0)], {}),
        "ArgMax": ([node("ArgMax", ["x"], ["i"], axis=1, keepdims=0)], {}),
        "ArgMax of the last": ([floor, node("ArgMax", ["f"], ["i"], axis=-1, select_last_index=1)], {}),
        "ArgMin": ([floor, node("ArgMin", ["f"], ["i"], axis=2)], {}),
        "OneHot": ([node("ArgMax", ["x"], ["p"], axis=3, keepdims=0), node("OneHot", ["p", "n", "v"], ["i"], axis=2)],
                   {"n": np.array(6, np.int64), "v": np.array([3, 8], np.int64)}),
        "OneHot of real values": ([node("ArgMax", ["x"], ["p"], axis=1), node("Sub", ["p", "n"], ["m"]),
                                   node("OneHot", ["m", "n", "v"], ["i"])],
                                  {"n": np.array(2, np.int64), "v": np.float32([0.5, -1])}),
        "And": ([low, high, node("And", ["a", "b"], ["i"])], bounds),
        "Or": ([low, high, node("Not", ["b"], ["n"]), node("Or", ["a", "n"], ["i"])], bounds),
        "Xor": ([low, high, node("Xor", ["a", "b"], ["i"])], bounds),
        "Not": ([low, node("Not", ["a"], ["i"])], bounds),
        "Mod": ([whole, node("Mod", ["k", "c"], ["i"])], {"c": column}),
        "Add of whole numbers": ([whole, node("Add", ["c", "k"], ["i"])], {"c": column}),
        "Sub of whole numbers": ([whole, node("Sub", ["c", "k"], ["i"])], {"c": column}),
        "Mul of whole numbers": ([whole, node("Mul", ["k", "k"], ["i"])], {}),
        "Div of whole numbers": ([whole, node("Div", ["k", "c"], ["i"])], {"c": np.abs(column)}),
        "Neg of whole numbers": ([whole, node("Neg", ["k"], ["i"])], {}),
        "ReduceSum of whole numbers": ([whole, node("ReduceSum", ["k", "c"], ["i"], keepdims=0)], {"c": np.array([2, -1])}),
        "ReduceMax of whole numbers": ([whole, node("ReduceMax", ["k"], ["i"], axes=[1])], {}),
        "ReduceMin of whole numbers": ([whole, node("ReduceMin", ["k"], ["i"], axes=[2])], {}),
        "ReduceProd of whole numbers": ([whole, node("ReduceProd", ["k"], ["i"], axes=[3])], {}),
        "Max of whole numbers": ([whole, node("Max", ["k", "c"], ["i"])], {"c": column}),
        "Min of whole numbers": ([whole, node("Min", ["k", "c"], ["i"])], {"c": column}),
        "Concat of whole numbers": ([whole, node("Concat", ["k", "c"], ["i"], axis=3)],
                                    {"c": np.tile(column, (2, 4, 1, 1)).astype(np.int64)}),
    }  # fmt: skip
    for operator in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        made[operator] = ([floor, node(operator, ["f", "c"], ["i"])], {"c": column.astype(np.float32)})
        made[f"{operator} of whole numbers"] = ([whole, node(operator, ["c", "k"], ["i"])], {"c": column})
    models = [_float(name, [*nodes, back], **held) for name, (nodes, held) in made.items()]
    mask = np.array([[True], [False], [True], [True], [False]])
    return [
        *models,
        _float("Trilu", [node("Trilu", ["x"], ["y"])]),
        _float("Trilu below", [node("Trilu", ["x", "k"], ["y"], upper=0)], k=np.array(1, np.int64)),
        _float("CumSum", [node("CumSum", ["x", "a"], ["y"], exclusive=1)], a=np.array(3, np.int64)),
        _float("CumSum of channels", [node("CumSum", ["x", "a"], ["y"], reverse=1)], a=np.array(1, np.int64)),
        _float("Where", [low, node("Tanh", ["x"], ["t"]), node("Where", ["a", "t", "x"], ["y"])], l=np.float32(0.5)),
        _float("Where of constants", [low, node("Where", ["a", "c", "h"], ["y"])], c=COLUMN, **bounds),
        _float("Where by a constant", [node("Where", ["m", "x", "c"], ["y"])], m=mask, c=np.float32(0.25)),
    ]


def _picked() -> list[Model]:
    """Return models of one sample that pick by what they compute."""
    node, shape = helper.make_node, (1, *SHAPE[1:])
    place = [node("ArgMax", ["x"], ["p"], axis=3), node("Mod", ["p", "five"], ["m"]), node("Reshape", ["m", "s"], ["z"])]
    held = {"five": np.array(5, np.int64), "s": np.array([20, 1], np.int64)}
    pair = np.stack([np.zeros(20), np.arange(20) % 4], 1).astype(np.int64)
    raised, zero = node("Unsqueeze", ["g", "zero"], ["y"]), {"zero": np.array([0], np.int64)}
    three = [*place, node("Concat", ["c", "z"], ["i"], axis=1), node("GatherND", ["x", "i"], ["g"]), raised]
    made = {
        "GatherND": (three, {**held, **zero, "c": pair}),
        "GatherND by constants": ([node("GatherND", ["x", "i"], ["g"]), raised], {**zero, "i": pair}),
        "Gather of columns": ([*place[:2], node("Reshape", ["m", "rows"], ["i"]), node("Gather", ["x", "i"], ["y"], axis=2)],
                              {"five": held["five"], "rows": np.array([4, 5], np.int64)}),
        "Gather of a constant": ([*place[:2], node("Reshape", ["m", "rows"], ["i"]), node("Gather", ["t", "i"], ["g"]), raised],
                                 {**zero, "five": held["five"], "rows": np.array([4, 5], np.int64), "t": COLUMN}),
        "Gather of channels": ([*place[:1], node("Mod", ["p", "four"], ["m"]), node("Reshape", ["m", "rows"], ["i"]),
                                node("Gather", ["x", "i"], ["y"], axis=1)],
                               {"four": np.array(4, np.int64), "rows": np.array([20], np.int64)}),
    }  # fmt: skip
    made["GatherElements"] = (
        [*place[:1], node("Sub", ["p", "five"], ["m"]), node("GatherElements", ["x", "m"], ["y"], axis=3)],
        {"five": np.array(6, np.int64)},
    )
    tiles = {"kernel_shape": [2, 3], "strides": [2, 3]}
    made["MaxUnpool"] = (
        [node("Slice", ["x", "zero", "four", "two"], ["s"]), node("MaxPool", ["s"], ["p", "i"], **tiles),
         node("Tanh", ["p"], ["t"]),
         node("MaxUnpool", ["t", "i"], ["u"], **tiles), node("Add", ["u", "four_of"], ["y"])],
        {**zero, "four": np.array([4]), "two": np.array([2]), "four_of": np.float32(4)},
    )  # fmt: skip
    made["MatMul of stacks that repeat"] = (
        [node("Reshape", ["x", "rows"], ["a"]), node("Tanh", ["x"], ["t"]), node("Slice", ["t", "zero", "end", "end"], ["s"]),
         node("Reshape", ["s", "columns"], ["b"]), node("MatMul", ["a", "b"], ["m"]), node("Reshape", ["m", "out"], ["y"])],
        {**zero, "end": np.array([1]), "rows": np.array([4, 5, 1, 6]), "columns": np.array([1, 5, 6, 1]),
         "out": np.array([1, 4, 5, 1])},
    )  # fmt: skip
    made["NonZero"] = (  # of which none is 0, so that onnxruntime has as many
        [node("Abs", ["x"], ["a"]), node("NonZero", ["a"], ["i"]), node("Cast", ["i"], ["g"], to=TensorProto.FLOAT), raised],
        zero,
    )
    made["NonMaxSuppression"] = (
        [
            node("Reshape", ["x", "boxes"], ["b"]),
            node("Reshape", ["x", "scores"], ["s"]),
            node("NonMaxSuppression", ["b", "s", "most", "overlap"], ["i"]),
            node("Gather", ["i", "first"], ["k"], axis=0),  # of which there are more, so that onnxruntime has as many
            node("Cast", ["k"], ["g"], to=TensorProto.FLOAT),
            raised,
        ],
        {**zero, "boxes": np.array([1, 30, 4]), "scores": np.array([1, 4, 30]), "most": np.array([5]), "overlap": np.float32([0.5]),
         "first": np.arange(20)},
    )  # fmt: skip
    return [(name, _model(nodes, constants, shape), 0.0) for name, (nodes, constants) in made.items()]


def _cast_error() -> float:
    """A cast to float32 is nothing, as are other operators without settings; one to other types is refused, by its own words."""
    casts = [[helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Cast", ["r"], ["y"], to=to)] for to in (1, 3)]
    x = RNG.normal(0, 2, SHAPE).astype(np.float32)
    (got,) = EdgebnRep(_model(casts[0], {}), reference_engine).run([x])
    try:
        EdgebnRep(_model(casts[1], {}), reference_engine).run([x])
    except UnsupportedLayerError as error:
        return error_between(got, np.maximum(x, 0)) if "changes the type" in str(error) else np.inf
    return np.inf


def _folds() -> list[Model]:
    """Return a product with what each operator makes of constants, which the reader works out."""
    node = helper.make_node
    a, b = RNG.normal(0, 3, (2, 6)).astype(np.float32)
    ints = np.array([1, 5, 2, 2, 0, 3], np.int64)
    cast, join = node("Cast", ["i"], ["k"], to=TensorProto.FLOAT), node("Concat", ["c", "b"], ["k"], axis=0)
    made: dict[str, tuple[list[onnx.NodeProto], dict[str, np.ndarray]]] = {
        "Cast": ([cast], {"i": ints}),
        "Concat": ([node("Concat", ["a", "b"], ["k"], axis=0)], {"a": a[:2], "b": b[:4]}),
        "Constant": ([node("Constant", [], ["k"], value=numpy_helper.from_array(a))], {}),
        "ConstantOfShape": (
            [node("ConstantOfShape", ["a"], ["c"], value=numpy_helper.from_array(np.array([2.5], np.float32))), join],
            {"a": np.array([4], np.int64), "b": b[:2]},
        ),
        "Equal": ([node("Equal", ["a", "b"], ["i"]), cast], {"a": ints, "b": np.roll(ints, 1)}),
        "Expand": ([node("Expand", ["a", "d"], ["c"]), join], {"a": a[:1], "d": np.array([4], np.int64), "b": b[:2]}),
        "Flatten": ([node("Flatten", ["a"], ["k"], axis=0)], {"a": a.reshape(2, 3)}),
        "Gather": ([node("Gather", ["a", "b"], ["k"])], {"a": a, "b": ints}),
        "Range": ([node("Range", ["a", "b", "c"], ["k"])], {"a": np.float32(1), "b": np.float32(4), "c": np.float32(0.5)}),
        "ReduceProd": ([node("ReduceProd", ["a"], ["k"], axes=[0], keepdims=0)], {"a": np.stack([a, b])}),
        "Reshape": ([node("Reshape", ["a", "b"], ["k"])], {"a": a.reshape(2, 3), "b": np.array([-1], np.int64)}),
        "Slice": ([node("Slice", ["a", "b", "c"], ["k"])], {"a": np.append(b, a), "b": np.array([6]), "c": np.array([12])}),
        "Squeeze": ([node("Squeeze", ["a", "b"], ["k"])], {"a": a[:, None], "b": np.array([1], np.int64)}),
        "Transpose": ([node("Transpose", ["a"], ["k"], perm=[1, 0])], {"a": np.outer(a, b[:5]).astype(np.float32)}),
        "Unsqueeze": ([node("Unsqueeze", ["a", "b"], ["k"])], {"a": b[:5], "b": np.array([1], np.int64)}),
        "Where": ([node("Where", ["i", "a", "b"], ["k"])], {"i": ints > 1, "a": a, "b": b}),
    }
    made["CumSum"] = ([node("CumSum", ["a", "b"], ["k"], exclusive=1, reverse=1)], {"a": a, "b": np.array(0, np.int64)})
    made["Not"] = ([node("Not", ["b"], ["i"]), cast], {"b": ints > 1})
    for operator in ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"):
        made[operator] = ([node(operator, ["a", "b"], ["k"])], {"a": np.abs(a) if operator == "Pow" else a, "b": b})
    for operator in ("Abs", "Ceil", "Cos", "Exp", "Floor", "Identity", "Log", "Neg", "Reciprocal", "Sin", "Sqrt"):
        made[operator] = ([node(operator, ["a"], ["k"])], {"a": np.abs(a) if operator in ("Log", "Sqrt") else a})
    product = node("Mul", ["x", "k"], ["y"])
    return [_float(f"{name} of constants", [*nodes, product], **held) for name, (nodes, held) in made.items()]
