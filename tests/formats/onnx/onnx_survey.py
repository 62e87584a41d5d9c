"""The matrix of ONNX's operators: opsets old and new by odd options, one operator a file, real or quantised.

A case is a name ("Operator options: opset"), a model of one float32 input `x` with constants, and that input. Quantised operators
stand between QuantizeLinear and DequantizeLinear, as onnxruntime's quantiser writes them, with codes of either sign.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSETS = (9, 11, 13, 17, 21)
IMAGE = (1, 4, 6, 5)
WINDOW = (1, 3, 9, 8)
MICROSOFT = "com.microsoft"
INPUT_AXES = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}  # from which opset on axes are an input; others 18


@dataclass(frozen=True)
class Case:
    """One model; `step` is what one code of its output stands for, 0 where that is real."""

    name: str
    model: onnx.ModelProto
    x: np.ndarray
    step: float = 0.0


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _model(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray], shape, opset: int, outputs=("y",)
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes), "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def one(kind: str, opset: int, shape=IMAGE, constants=None, order=None, outputs=1, positive=False, label="", **settings) -> Case:
    """Return a case of one operator; `order` names its inputs, of which 't' is tanh(x) and '' none."""
    told = {**settings, "order": order} if order else settings
    name = f"{kind} {label or shape} {told}: {opset}"
    constants = constants or {}
    order = order or ["x", *constants]
    names = ["y"] if outputs == 1 else [f"y{place}" for place in range(outputs)]
    nodes = [helper.make_node("Tanh", ["x"], ["t"])] if "t" in order else []
    nodes.append(helper.make_node(kind, order, names, **settings))
    x = _rng(name).normal(0, 1.5, shape).astype(np.float32)
    return Case(name, _model(nodes, constants, shape, opset, names), np.abs(x) + np.float32(0.1) if positive else x)


def _ints(*numbers) -> np.ndarray:
    return np.array(numbers, np.int64)


def _reals(name: str, shape, low=0.5, high=2.0) -> np.ndarray:
    return _rng(name).uniform(low, high, shape).astype(np.float32)


UNARY = (
    "Abs Ceil Cos Erf Exp Floor Neg Reciprocal Relu Round Sign Sigmoid Sin Softplus Softsign Sqrt Tanh Log HardSigmoid Elu Selu "
)
UNARY += (
    "LeakyRelu ThresholdedRelu Celu HardSwish Mish Identity IsNaN IsInf Gelu Swish GlobalMaxPool GlobalAveragePool Dropout Tan "
)
UNARY += "Shrink Hardmax MeanVarianceNormalization Asinh Atan"


def functions(opset: int) -> Iterator[Case]:
    for kind, shape in itertools.product(UNARY.split(), (IMAGE, (1, 4, 6), (1, 6))):
        yield one(kind, opset, shape, positive=kind in ("Sqrt", "Log"))
    for kind, axis in itertools.product(("Softmax", "LogSoftmax", "LpNormalization"), (-1, 1, 2, 3)):
        yield one(kind, opset, axis=axis)
    for kind, keeps in itertools.product(("ArgMax", "ArgMin"), (0, 1)):
        yield from (one(kind, opset, axis=axis, keepdims=keeps) for axis in (1, -1, 2, 0))
    for count, axis in ((3, -1), (2, 1), (5, 3)) if opset > 9 else ():
        yield one("TopK", opset, constants={"k": _ints(count)}, outputs=2, label=count, axis=axis)
    reductions = ["Max", "Mean", "Min", "Sum", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
    for part, axes, keeps in itertools.product(reductions, ((2, 3), (-1,), (1,), (1, 2, 3), (0,), (1, 3), None), (0, 1)):
        kind = f"Reduce{part}"
        named = {"axes": list(axes)} if axes else {}
        held = {"a": _ints(*axes)} if axes else {}
        if opset >= INPUT_AXES.get(kind, 18):
            yield one(kind, opset, constants=held, positive=True, label=axes, keepdims=keeps)
        else:
            yield one(kind, opset, positive=True, keepdims=keeps, **named)


BINARY = "Add Sub Mul Div Max Min Mean Sum Equal Greater Less GreaterOrEqual LessOrEqual Pow PRelu Mod"
MEETS = ((IMAGE, ()), (IMAGE, (1,)), (IMAGE, (5,)), (IMAGE, (4, 1, 1)), (IMAGE, (6, 5)), (IMAGE, IMAGE), ((1, 6), (3, 6)),
         ((1, 6), (*IMAGE[:3], 6)), ((1, 2, 3, 4, 5), (2, 1, 1, 5)))  # fmt: skip


def binaries(opset: int) -> Iterator[Case]:
    for kind in BINARY.split():
        settings = {"fmod": 1} if kind == "Mod" else {}
        for shape, other in MEETS:
            held = {"c": _reals(kind, other)}
            yield one(kind, opset, shape, held, positive=True, label=f"{shape} {other}", **settings)
            if kind not in ("Pow", "PRelu", "Mod"):
                yield one(kind, opset, shape, held, order=["c", "x"], positive=True, label=f"{other} {shape}", **settings)
        yield one(kind, opset, order=["x", "t"], positive=True, **settings)
    for shape, other in (
        ((1, 4, 5), (5, 6)),
        ((1, 2, 4, 5), (2, 5, 6)),
        ((1, 5), (5, 6)),
        ((1, 4, 5), (1, 5, 6)),
        ((1, 4, 5), (5,)),
    ):
        yield one("MatMul", opset, shape, {"c": _reals("MatMul", other)}, label=f"{shape} {other}")
    for turned, c in itertools.product((0, 1), ((6,), (1, 6), (), None)):
        held = {"b": _reals("Gemm", (6, 5) if turned else (5, 6)), **({} if c is None else {"c": _reals("Gemm", c)})}
        yield one("Gemm", opset, (1, 5), held, label=str(c), transB=turned, alpha=0.5, beta=2.0)
    for axis, exclusive, reverse in itertools.product((1, 2, -1), (0, 1), (0, 1)) if opset >= 11 else ():
        yield one("CumSum", opset, constants={"a": np.array(axis, np.int64)}, label=axis, exclusive=exclusive, reverse=reverse)


WINDOWS = ({"kernel_shape": [3, 2]}, {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 0, 2, 1]},
           {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER", "strides": [2, 2]},
           {"kernel_shape": [3, 2], "auto_pad": "SAME_LOWER", "strides": [2, 2]}, {"kernel_shape": [3, 2], "auto_pad": "VALID"},
           {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2], "ceil_mode": 1},
           {"kernel_shape": [2, 2], "dilations": [2, 1]},
           {"kernel_shape": [3, 3], "strides": [2, 2], "dilations": [2, 2]})  # fmt: skip


def windows(opset: int) -> Iterator[Case]:
    for settings in WINDOWS:
        size, plain = settings["kernel_shape"], {name: value for name, value in settings.items() if name != "ceil_mode"}
        yield one("MaxPool", opset, WINDOW, **settings)
        yield from (one("AveragePool", opset, WINDOW, count_include_pad=counts, **settings) for counts in (0, 1))
        yield one("LpPool", opset, WINDOW, **settings)
        for groups in (1, 3):
            held = {"w": _reals("Conv", (6, 3 // groups, *size), -1, 1), "b": _reals("Conv", 6)}
            yield one("Conv", opset, WINDOW, held, group=groups, **plain)
            held = {"w": _reals("ConvTranspose", (3, 6 // groups, *size), -1, 1), "b": _reals("Conv", 6)}
            yield one("ConvTranspose", opset, (1, 3, 5, 4), held, group=groups, **plain)
    held = {"w": _reals("ConvTranspose", (3, 6, 3, 3), -1, 1)}
    for settings in ({"output_padding": [1, 1]}, {"output_shape": [10, 8]}):
        yield one("ConvTranspose", opset, (1, 3, 5, 4), held, strides=[2, 2], **settings)
    norm = {name: _reals(name, 4) for name in "sbmv"}
    yield from (one("BatchNormalization", opset, shape, norm) for shape in (IMAGE, IMAGE[:3], (1, 4)))
    yield one("InstanceNormalization", opset, constants={"s": norm["s"], "b": norm["b"]})
    yield from (one("LRN", opset, size=size, alpha=0.5) for size in (3, 4))
    for axis in (-1, 1, 2) if opset >= 17 else ():
        held = {name: _reals(name, IMAGE[axis:]) for name in "sb"}
        yield one("LayerNormalization", opset, constants=held, axis=axis)
    scales = ([1, 1, 2, 2], [1, 1, 1.5, 0.7], [1, 1, 0.5, 3])
    for mode, scale in itertools.product(("nearest", "linear", "cubic"), scales):
        held = {"s": np.array(scale, np.float32)}
        if opset < 11:
            yield one("Upsample", opset, constants=held, label=scale, mode=mode)
            continue
        transforms = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
        for transform, rounds in itertools.product(transforms, ("floor", "round_prefer_ceil") if mode == "nearest" else ("floor",)):
            settings = {"mode": mode, "coordinate_transformation_mode": transform, "nearest_mode": rounds}
            yield one("Resize", opset, constants={"r": np.zeros(0, np.float32), **held}, label=scale, **settings)


def moves(opset: int) -> Iterator[Case]:
    yield from (one("Transpose", opset, perm=order) for order in ([0, 2, 1, 3], [0, 3, 1, 2], [1, 0, 2, 3], [3, 2, 1, 0]))
    for shape in ([1, -1], [0, 0, -1], [-1, 4], [120], [0, 2, 2, 0, 5]):
        yield one("Reshape", opset, constants={"s": _ints(*shape)}, label=shape)
    for axis in (0, 1, 2, -1):
        yield one("Concat", opset, order=["x", "t"], axis=axis)
        yield one("Concat", opset, constants={"c": _reals("Concat", IMAGE)}, axis=axis)
        yield one("Flatten", opset, axis=axis % 4)
    pads = ([0, 0, 1, 2, 0, 0, 1, 0], [0, 1, 0, 0, 0, 2, 0, 0], [0, 0, -1, 1, 0, 0, 1, -1])
    for mode, pad in itertools.product(("constant", "reflect", "edge"), pads):
        if opset < 11:
            yield one("Pad", opset, mode=mode, pads=pad, value=1.5)
        else:
            yield one("Pad", opset, constants={"p": _ints(*pad), "v": np.array(1.5, np.float32)}, label=pad, mode=mode)
    cuts = (([0, 1], [3, 9], [2, 3], [1, 1]), ([-1], [-9], [1], [-1]), ([1], [100], [-2], [2]), ([0], [1], [0], [1]))
    for cut in cuts if opset >= 10 else ():
        yield one(
            "Slice", opset, constants={name: _ints(*numbers) for name, numbers in zip("seap", cut, strict=True)}, label=str(cut)
        )
    for axis, sizes in ((1, [2, 2]), (1, [1, 3]), (-1, [1, 1, 3]), (2, [3, 3])):
        settings = {"axis": axis, **({"split": sizes} if opset < 13 else {})}
        held = {"s": _ints(*sizes)} if opset >= 13 else {}
        yield one("Split", opset, constants=held, outputs=len(sizes), label=sizes, **settings)
    for axis, places in ((1, [2, 0]), (2, [[0, 1], [5, -1]]), (-1, 3), (0, [0]), (0, 0)):
        yield one("Gather", opset, constants={"i": np.array(places, np.int64)}, label=str(places), axis=axis)
    yield from (one("Tile", opset, constants={"r": _ints(*counts)}, label=counts) for counts in ([1, 2, 1, 3], [2, 1, 1, 1]))
    for shape in ([1, 4, 6, 5], [3, 1, 4, 6, 5]):
        yield one("Expand", opset, (1, 4, 1, 5), {"s": _ints(*shape)}, label=shape)
    for kind, axes in itertools.product(("Squeeze", "Unsqueeze"), ([1], [-1])):
        shape = (1, 1, 6, 1) if kind == "Squeeze" else (1, 4, 6)
        if opset >= INPUT_AXES[kind]:
            yield one(kind, opset, shape, {"a": _ints(*axes)}, label=axes)
        else:
            yield one(kind, opset, shape, axes=axes)
    yield from (one("DepthToSpace", opset, (1, 12, 3, 2), blocksize=2, **({"mode": mode} if mode else {}))
                for mode in (("DCR", "CRD") if opset >= 11 else ("",)))  # fmt: skip
    yield one("SpaceToDepth", opset, (1, 3, 4, 6), blocksize=2)
    if opset < 11:
        return
    put = {"i": _ints([0, 1], [0, 3]), "u": _reals("put", (2, 6, 5))}
    yield one("ScatterND", opset, constants=put)
    places = _rng("places").integers(-4, 4, (1, 3, 6, 5))
    yield one("ScatterElements", opset, constants={"i": places[:, :1], "u": _reals("put", (1, 1, 6, 5))}, axis=1)
    yield one("GatherElements", opset, constants={"i": places}, axis=1)
    yield from (
        one("GatherND", opset, constants={"i": _ints(*rows)}, label=str(rows))
        for rows in (([0, 1], [0, 3]), ([0, 1, 2], [0, 3, 0]))
    )
    grid = _reals("grid", (1, 3, 7, 2), -1.3, 1.3)
    for mode, outside, aligned in (
        itertools.product(("bilinear", "nearest"), ("zeros", "border"), (0, 1)) if 16 <= opset < 20 else ()
    ):
        yield one("GridSample", opset, constants={"g": grid}, mode=mode, padding_mode=outside, align_corners=aligned)
    if opset >= 14:
        yield from (
            one("Trilu", opset, constants={"k": np.array(k, np.int64)}, label=k, upper=upper) for k in (-1, 1) for upper in (0, 1)
        )


ALONE = (
    "Sigmoid Tanh Relu LeakyRelu HardSwish Elu Exp Sqrt Erf Abs Neg GlobalAveragePool Softplus Mish Sin Clip Selu Celu Floor Sign "
)
ALONE += "Flatten ReduceMean ReduceMax Log"
QUANTISED = {  # operator: settings, and float weights by name
    **{kind: ({}, {}) for kind in ALONE.split()},
    "Conv": ({"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, {"w": (6, 3, 3, 3)}),
    "ConvTranspose": ({"strides": [2, 2]}, {"w": (3, 6, 3, 3)}),
    "Gemm": ({"transB": 1}, {"w": (6, 8)}),
    "MatMul": ({}, {"w": (8, 6)}),
    "MaxPool": ({"kernel_shape": [2, 2], "strides": [2, 2]}, {}),
    "AveragePool": ({"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, {}),
    "Transpose": ({"perm": [0, 2, 3, 1]}, {}),
    "DepthToSpace": ({"blocksize": 2}, {}),
}
PAIRS = ["Add", "Sub", "Mul", "Div", "Max", "Min"]


def quantised(opset: int) -> Iterator[Case]:
    for kind, code in itertools.product((*QUANTISED, *PAIRS), (np.uint8, np.int8)):
        yield _between(kind, code, opset)
    for name, (inputs, settings) in QLINEAR.items():
        for code in (np.uint8, np.int8):
            yield _linear(name, code, inputs, settings, opset)


def _scales(code, name: str) -> dict[str, np.ndarray]:
    zero = {np.uint8: 130, np.int8: 3}[code]
    made = {"xs": 0.05317, "ts": 0.01171, "ys": 0.10303}
    return {key: np.float32(value) for key, value in made.items()} | {
        f"{key}z": np.array(zero - 7 * place, code) for place, key in enumerate("xty")
    }


def _between(kind: str, code, opset: int) -> Case:
    """Return an operator between DequantizeLinear and QuantizeLinear."""
    name = f"QDQ {kind} {code.__name__}: {opset}"
    settings, shapes = QUANTISED.get(kind, ({}, {}))
    shape = (1, 8) if kind == "Gemm" else (1, 4, 8) if kind == "MatMul" else (1, 4, 4, 6) if kind == "DepthToSpace" else WINDOW
    held, node = _scales(code, name), helper.make_node
    nodes = [node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]), node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"])]
    inputs = ["xd"]
    for key, size in shapes.items():
        codes = _rng(name).integers(-127, 128, size).astype(np.int8)
        held |= {key: codes, f"{key}s": np.float32(0.004), f"{key}z": np.int8(0)}
        nodes.append(node("DequantizeLinear", [key, f"{key}s", f"{key}z"], [f"{key}d"]))
        inputs.append(f"{key}d")
    if kind == "Div":
        held["half"] = np.float32(0.5)
        nodes += [node("Tanh", ["xd"], ["t"]), node("Abs", ["t"], ["a"]), node("Add", ["a", "half"], ["b"])]
    elif kind in PAIRS:
        nodes.append(node("Tanh", ["xd"], ["b"]))
    if kind in PAIRS:
        nodes += [node("QuantizeLinear", ["b", "ts", "tz"], ["tq"]), node("DequantizeLinear", ["tq", "ts", "tz"], ["td"])]
        inputs.append("td")
    nodes.append(node(kind, inputs, ["r"], **settings))
    nodes += [node("QuantizeLinear", ["r", "ys", "yz"], ["yq"]), node("DequantizeLinear", ["yq", "ys", "yz"], ["y"])]
    x = _rng(name).normal(0, 1.5, shape).astype(np.float32)
    x = np.abs(x) + np.float32(0.2) if kind in ("Sqrt", "Log") else x
    return Case(name, _model(nodes, held, shape, opset), x, float(held["ys"]))


_END = ["ys", "yz"]
QLINEAR: dict[str, tuple[list[str], dict]] = {
    "QLinearAdd": (["xq", "xs", "xz", "tq", "ts", "tz", *_END], {}),
    "QLinearMul": (["xq", "xs", "xz", "tq", "ts", "tz", *_END], {}),
    "QLinearSigmoid": (["xq", "xs", "xz", *_END], {}), "QLinearLeakyRelu": (["xq", "xs", "xz", *_END], {"alpha": 0.2}),
    "QLinearGlobalAveragePool": (["xq", "xs", "xz", *_END], {}),
    "QLinearAveragePool": (["xq", "xs", "xz", *_END], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "QLinearConcat": ([*_END, "xq", "xs", "xz", "tq", "ts", "tz"], {"axis": 1}),
    "QLinearConv": (["xq", "xs", "xz", "w", "ws", "wz", *_END], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "QLinearMatMul": (["xq", "xs", "xz", "m", "ws", "wz", *_END], {}),
}  # fmt: skip


def _linear(kind: str, code, inputs: list[str], settings: dict, opset: int) -> Case:
    """Return an operator that reads and writes codes."""
    name = f"{kind} {code.__name__}: {opset}"
    held, node = _scales(code, name), helper.make_node
    weight = _rng(name).integers(-127, 128, (6, 3, 3, 3)).astype(np.int8)
    held |= {"w": weight, "m": weight.reshape(-1)[:48].reshape(8, 6), "ws": np.float32(0.004), "wz": np.int8(0)}
    nodes = [node("QuantizeLinear", ["x", "xs", "xz"], ["xq"])]
    if "tq" in inputs:
        nodes += [node("Tanh", ["x"], ["t"]), node("QuantizeLinear", ["t", "ts", "tz"], ["tq"])]
    domain = "" if kind in ("QLinearConv", "QLinearMatMul") else MICROSOFT
    nodes += [node(kind, inputs, ["yq"], domain=domain, **settings), node("DequantizeLinear", ["yq", "ys", "yz"], ["y"])]
    used = {name: value for name, value in held.items() if any(name in one.input for one in nodes)}
    return Case(name, _model(nodes, used, WINDOW, opset), _rng(name).normal(0, 1.5, WINDOW).astype(np.float32), float(held["ys"]))


FAMILIES = {"functions": functions, "binaries": binaries, "windows": windows, "moves": moves, "quantised": quantised}
