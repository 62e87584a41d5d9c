"""A program as the plain layers that every engine has: convolution, dense, sums, products, pools, functions...; for the exporters.

Knows programs, no file format. Batch norm is folded where that is exact; elsewhere it becomes a multiply-add of its own, which is
what a converter would write. A program with any other step cannot be exported: its peers show a dash.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn import program as p

NO_CLIP = (-np.inf, np.inf)
RELU = (0.0, np.inf)
RELU6 = (0.0, 6.0)
# Functions of one number that the exporters can write.
FUNCTIONS = ("sigmoid", "silu", "tanh", "hard_swish", "hard_sigmoid")
MOVEMENT = (p.Reshape, p.Transpose, p.Pad, p.Crop, p.Resize, p.Concat)
INT8_LOW, INT8_HIGH = -128, 127


class NotExportedError(Exception):
    """The program holds something that the exporters do not write."""


@dataclass(frozen=True)
class Value:
    """One sample's shape as (height, width, channels), and of int8 the meaning of the codes: real = scale * (code - zero_point)."""

    shape: p.Hwc
    scale: float | None = None
    zero_point: int = 0


@dataclass(frozen=True)
class Layer:
    """One plain layer. Which fields matter follows from `kind`: convolution, dense, affine, pool, add, multiply, function, concat,
    resize (nearest, to twice the size) or softmax; and of `step`, moved (Reshape, Transpose, Pad, Crop, Resize, Concat).

    weight is (O, kh, kw, I / groups), float32 or int8 codes with one `weight_scale` a channel; bias is float32, or int32 in units
    of input scale times weight scale. affine: y = x * a + d a channel. `clip` is NO_CLIP, RELU or RELU6.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    clip: tuple[float, float] = NO_CLIP
    weight: np.ndarray | None = None
    weight_scale: np.ndarray | None = None
    bias: np.ndarray | None = None
    strides: p.Pair = (1, 1)
    padding: p.Sides = (0, 0, 0, 0)
    groups: int = 1
    window: p.Window | None = None
    a: np.ndarray | None = None
    d: np.ndarray | None = None
    beta: float = 1.0
    function: str = ""  # of FUNCTIONS
    dilations: p.Pair = (1, 1)
    step: p.Step | None = None


@dataclass(frozen=True)
class PlainNetwork:
    """Layers in order of execution, and every value between them by name."""

    integer: bool
    layers: tuple[Layer, ...]
    values: dict[str, Value]
    input: str
    outputs: tuple[str, ...]

    @property
    def output(self) -> str:
        """The only one."""
        assert len(self.outputs) == 1
        return self.outputs[0]


def plain(program: p.Program, *, movement: bool = False) -> PlainNetwork:
    """Return `program` in plain layers, or raise `NotExportedError`.

    With `movement` a float32 program may have several outputs, dilations and steps that only move values, for the writer of ONNX.
    """
    if len(program.inputs) != 1 or (len(program.outputs) != 1 and not movement) or program.constants:
        raise NotExportedError("more than one input or output, or constant values")
    integer = program.dtype == "int8"
    values = {
        name: Value(buffer.shape, buffer.scale if integer else None, buffer.zero_point) for name, buffer in program.buffers.items()
    }
    layers: list[Layer] = []
    windows = [i for i, step in enumerate(program.steps) if isinstance(step, p.Convolution) and not _is_whole(step, values)]
    for i, step in enumerate(program.steps):
        if isinstance(step, p.Convolution):
            # Programs do not tell a dense layer from a convolution of one pixel; behind the last real window there are dense ones.
            if step.dilations != (1, 1) and not movement:
                raise NotExportedError(f"the dilation of '{step.name}'")
            layers += _convolution(step, values, integer=integer, dense=i > max(windows, default=-1))
        elif isinstance(step, p.Add) and values[step.inputs[0]].shape == values[step.inputs[1]].shape:
            layers.append(Layer("add", step.inputs, step.output, _add_clip(step)))
        elif isinstance(step, p.Multiply):
            layers.append(Layer("multiply", step.inputs, step.output))
        elif isinstance(step, p.Elementwise | p.Lookup):
            layers.append(_function(step, program))
        elif isinstance(step, p.Concat) and step.axis == 2:
            layers.append(Layer("concat", step.inputs, step.output))
        elif isinstance(step, p.Resize) and _doubles(step, values):
            layers.append(Layer("resize", step.inputs, step.output))
        elif isinstance(step, p.Pool):
            layers.append(Layer("pool", step.inputs, step.output, window=step.window))
        elif isinstance(step, p.Softmax):
            layers.append(Layer("softmax", step.inputs, step.output, beta=step.beta))
        elif movement and isinstance(step, MOVEMENT):
            layers.append(Layer("moved", step.inputs, step.output, step=step))
        else:
            raise NotExportedError(f"{step.kind} '{step.name}'")
    for layer in layers:
        if layer.clip not in {NO_CLIP, RELU, RELU6} and layer.function != "clip":
            raise NotExportedError(f"the clip {layer.clip} of '{layer.output}'")
    return PlainNetwork(integer, tuple(layers), values, program.inputs[0], tuple(program.outputs))


def _function(step: p.Elementwise | p.Lookup, program: p.Program) -> Layer:
    """Return a function of one number; that of a table is found by what it gives."""
    if isinstance(step, p.Elementwise):
        if step.function == "clip":
            return Layer("function", step.inputs, step.output, clip=(step.low, step.high), function="clip")
        if step.function in FUNCTIONS:
            return Layer("function", step.inputs, step.output, function=step.function)
        raise NotExportedError(f"the function '{step.function}'")
    given, made = program.buffers[step.inputs[0]], program.buffers[step.output]
    x = given.scale * (np.arange(-128, 128) - given.zero_point)
    real = made.scale * (step.table[0].astype(np.float64) - made.zero_point)
    sigmoid = 1 / (1 + np.exp(-x))
    hard = np.clip(x / 6 + 0.5, 0, 1)
    formulas = {"sigmoid": sigmoid, "silu": x * sigmoid, "tanh": np.tanh(x), "hard_swish": x * hard, "hard_sigmoid": hard}
    inside = (step.table[0] > INT8_LOW) & (step.table[0] < INT8_HIGH)
    apart = {name: np.abs(y - real)[inside].max(initial=0) for name, y in formulas.items()}
    best = min(apart, key=apart.__getitem__)
    if len(step.table) > 1 or apart[best] > made.scale:
        raise NotExportedError(f"the table of '{step.name}'")
    return Layer("function", step.inputs, step.output, function=best)


def _doubles(step: p.Resize, values: dict[str, Value]) -> bool:
    """Whether a nearest resize repeats every pixel twice along both axes."""
    height, width, _ = values[step.inputs[0]].shape
    given = [np.asarray(index)[:, 0] for index in (step.rows, step.columns)]
    wanted = [np.arange(2 * size) // 2 for size in (height, width)]
    return step.function == "nearest" and all(np.array_equal(a, b) for a, b in zip(given, wanted, strict=True))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding before and after that TensorFlow calls SAME."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def is_global(window: p.Window, shape: p.Hwc) -> bool:
    """Whether a pool's window is the whole value."""
    return window.kernel == shape[:2] and window.padding == (0, 0, 0, 0)


def _add_clip(step: p.Add) -> tuple[float, float]:
    if step.arithmetic is None:
        return step.post
    return RELU if step.arithmetic.qmin >= step.arithmetic.zero_point else NO_CLIP


def _is_whole(step: p.Convolution, values: dict[str, Value]) -> bool:
    """Whether a convolution's window is its whole input, and every output reads all of it."""
    return values[step.inputs[0]].shape[:2] == step.weight.shape[1:3] and step.padding == (0, 0, 0, 0) and step.groups == 1


def _convolution(step: p.Convolution, values: dict[str, Value], *, integer: bool, dense: bool) -> list[Layer]:
    """Return the convolution, then its affine and its pool where it has them."""
    result = values[step.output]
    layers: list[Layer] = []
    before_pool = step.output
    if step.pool is not None:
        before_pool = f"{step.output}/unpooled"
        shape = p.unpooled_shape(step, values[step.inputs[0]].shape)
        values[before_pool] = Value(shape, result.scale, result.zero_point)
    parts = {
        "kind": "dense" if dense else "convolution",
        "inputs": step.inputs,
        "strides": step.strides,
        "padding": step.padding,
        "dilations": step.dilations,
        "groups": step.groups,
    }
    make = _integer_layers if integer else _float_layers
    layers += make(step, parts, before_pool, values)
    if step.pool is not None:
        layers.append(Layer("pool", (before_pool,), step.output, window=step.pool))
    return layers


def _float_layers(step: p.Convolution, parts: dict, output: str, values: dict[str, Value]) -> list[Layer]:
    epilogue = step.epilogue
    if epilogue.pre == NO_CLIP:
        weight = step.weight * epilogue.a[:, None, None, None]
        bias = epilogue.bias * epilogue.a + epilogue.d
        return [Layer(**parts, output=output, clip=epilogue.post, weight=weight.astype(np.float32), bias=bias.astype(np.float32))]
    middle = f"{output}/before_norm"
    values[middle] = Value(values[output].shape)
    first = Layer(**parts, output=middle, clip=epilogue.pre, weight=step.weight, bias=epilogue.bias)
    return [first, Layer("affine", (middle,), output, epilogue.post, a=epilogue.a, d=epilogue.d)]


def _integer_layers(step: p.Convolution, parts: dict, output: str, values: dict[str, Value]) -> list[Layer]:
    epilogue, given, result = step.epilogue, values[step.inputs[0]], values[output]
    codes, scale = step.weight, np.asarray(step.weight_scale, np.float64)
    if epilogue.bias is None:  # a file that was quantised elsewhere: its norms are folded already
        sums = codes.astype(np.int64).sum(axis=(1, 2, 3))
        bias = (epilogue.acc_bias + given.zero_point * sums).astype(np.int32)
        clip = RELU if epilogue.qmin >= epilogue.zero_point else NO_CLIP
        return [Layer(**parts, output=output, clip=clip, weight=codes, weight_scale=scale, bias=bias)]
    a, d = np.ones(len(codes)), np.zeros(len(codes))
    for norm in epilogue.norms:
        factor = norm.gamma / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
        a, d = a * factor, (d - norm.mean) * factor + norm.beta
    if epilogue.pre == NO_CLIP:
        # Scales are positive: a negative gamma turns the codes around instead.
        turned = np.where(a < 0, -1, 1)
        codes = np.clip(codes.astype(np.int16) * turned[:, None, None, None], INT8_LOW, INT8_HIGH).astype(np.int8)
        scale = np.maximum(scale * np.abs(a), np.finfo(np.float32).tiny)
        bias = _bias_codes(epilogue.bias * a + d, given.scale * scale)
        return [Layer(**parts, output=output, clip=epilogue.post, weight=codes, weight_scale=scale, bias=bias)]
    # The value before the norm has no range of its own: the one that reaches the ends of the result's in some channel.
    middle = f"{output}/before_norm"
    low, high = (result.scale * (code - result.zero_point) for code in (INT8_LOW, INT8_HIGH))
    reach = float(np.max(np.maximum((low - d) / a, (high - d) / a)))
    if epilogue.pre != RELU or reach <= 0:
        raise NotExportedError(f"the clip {epilogue.pre} before the norm of '{step.name}'")
    values[middle] = Value(result.shape, reach / (INT8_HIGH - INT8_LOW), INT8_LOW)
    bias = _bias_codes(epilogue.bias, given.scale * scale)
    first = Layer(**parts, output=middle, clip=epilogue.pre, weight=codes, weight_scale=scale, bias=bias)
    return [first, Layer("affine", (middle,), output, epilogue.post, a=a.astype(np.float32), d=d.astype(np.float32))]


def _bias_codes(bias: np.ndarray, scale: np.ndarray) -> np.ndarray:
    limits = np.iinfo(np.int32)
    return np.clip(np.rint(bias / scale), limits.min, limits.max).astype(np.int32)
