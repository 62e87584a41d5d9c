"""One check a kind of step: that its arrays, windows, indices and codes fit the buffers it reads and writes.

What `program_check.py` asks of every step. Knows the contract of `edgebn.program` only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.errors import ModelError
from edgebn.functions import (
    BINARY,
    CELL_STATES,
    CELLS,
    COMPARISONS,
    FUNCTIONS,
    GATES,
    INTEGER_BINARY,
    OF_REALS,
    STATE_FUNCTIONS,
)

MAX_EXTENT = 1 << 16
MAX_HALF_WEIGHT = 2.0  # of a resampling that adds a half: beyond the edge one of an equal pair may be above 1, the other below 0

SUM_BITS = 48  # of a sum of int16 codes' products
CURVES = {
    "table": (np.int16, 513),
    "sigmoid": (np.uint16, 256),
    "tanh": (np.uint16, 256),
    "rsqrt": (np.int16, 1),
}  # type and length of their tables

_INT_EPILOGUE = {"acc_bias": np.int32, "lo": np.int32, "hi": np.int32, "m": np.int32, "r": np.int64, "s": np.uint8}
_WIDE_EPILOGUE = _INT_EPILOGUE | dict.fromkeys(("acc_bias", "lo", "hi"), np.int64)  # of int16 codes
_FUNCTIONS = tuple(FUNCTIONS)


def check_step(step: p.Step, program: p.Program) -> None:
    """Check one step against its buffers.

    Raises
    ------
    ModelError
        With the step's name and what does not fit.
    """
    check = _CHECKS.get(type(step))
    inputs, output = [program.buffers[name] for name in step.inputs], program.buffers[step.output]
    operands = _OPERANDS.get(type(step), 1)
    fits = len(inputs) == operands if operands else bool(inputs)
    if check is None or not fits:
        raise ModelError(f"step '{step.name}' is of no kind that runs, or has {len(inputs)} inputs")
    types = [buffer.dtype for buffer in (*inputs, output)]
    if not isinstance(step, _OF_SEVERAL_TYPES) and (len(set(types)) > 1 or (types[0] == "int32" and not isinstance(step, _MOVING))):
        raise ModelError(f"step '{step.name}' reads and makes {' and '.join(dict.fromkeys(types))}, which it does not join")
    try:
        check(step, inputs, output)
    except ModelError as error:
        raise ModelError(f"step '{step.name}': {error}") from None


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise ModelError(f"its {what} does not fit")


def _array(array: np.ndarray, dtype: Any, shape: tuple[int, ...], what: str) -> None:
    _need(array.dtype == dtype and array.shape == shape, what)
    _need(array.dtype.kind != "f" or bool(np.isfinite(array).all()), what)


def _windows(size: tuple[int, int], kernel: p.Pair, strides: p.Pair, dilations: p.Pair, padding: p.Sides) -> tuple[int, int]:
    """Return how many windows fit in each direction."""
    _need(all(1 <= value <= MAX_EXTENT for value in (*kernel, *strides, *dilations)), "kernel, stride or dilation")
    _need(all(0 <= side <= MAX_EXTENT for side in padding), "padding")
    top, left, bottom, right = padding
    height = (size[0] + top + bottom - dilations[0] * (kernel[0] - 1) - 1) // strides[0] + 1
    width = (size[1] + left + right - dilations[1] * (kernel[1] - 1) - 1) // strides[1] + 1
    _need(height >= 1 and width >= 1, "kernel")
    return height, width


def _pooled(size: tuple[int, int], window: p.Window) -> tuple[int, int]:
    _need(window.function in ("max", "average"), "pooling function")
    _need(all(0 <= end <= side for end, side in zip(window.clipped_end, window.padding[2:], strict=True)), "clipped end")
    return _windows(size, window.kernel, window.strides, window.dilations, window.padding)


def _norms(norms: tuple[p.Norm, ...], channels: int) -> None:
    for norm in norms:
        for name in ("gamma", "beta", "mean", "variance"):
            _array(getattr(norm, name), np.float32, (channels,), f"batch norm '{norm.layer}'")
        _need(math.isfinite(norm.epsilon) and bool((norm.variance.astype(np.float64) + norm.epsilon > 0).all()), "variance")


_OPERANDS: dict[type[p.Step], int] = {  # 1 where not said; 0: any number
    p.Concat: 0, p.Add: 2, p.Multiply: 2, p.Binary: 2, p.MatMul: 2, p.IntegerBinary: 2, p.GatherND: 2, p.Select: 3,
    p.DetectionPostProcess: 2, p.NonMaxSuppression: 2, p.Recurrence: 0,
}  # fmt: skip
_OF_SEVERAL_TYPES = (
    p.Quantize, p.Dequantize, p.Rescale, p.Cast, p.IntegerBinary, p.ArgExtreme, p.Select, p.GatherND, p.NonMaxSuppression,
)  # fmt: skip
_MOVING = (p.Concat, p.Pad, p.Crop, p.Resize, p.Transpose, p.Reshape)  # and nothing more, so that int32 may pass
OF_INTEGERS = (*_MOVING, p.Cast, p.IntegerBinary, p.ArgExtreme, p.Select, p.GatherND, p.NonMaxSuppression)


def _same_codes(source: p.Buffer, target: p.Buffer) -> None:
    """Check that codes which a step leaves as they are mean the same behind it."""
    if p.holds_codes(target):
        _need((source.scale, source.zero_point) == (target.scale, target.zero_point), "output's scale or zero point")


def _epilogue(epilogue: p.FloatEpilogue | p.IntEpilogue, channels: int, target: p.Buffer) -> None:
    if isinstance(epilogue, p.FloatEpilogue):
        _need(target.dtype == "float32", "epilogue")
        for name in ("bias", "a", "d"):
            _array(getattr(epilogue, name), np.float32, (channels,), name)
    else:
        _need(p.holds_codes(target), "epilogue")
        for name, kind in (_WIDE_EPILOGUE if target.dtype == "int16" else _INT_EPILOGUE).items():
            _array(getattr(epilogue, name), kind, (channels,), name)
        _need(bool(((epilogue.s >= 1) & (epilogue.s <= 62)).all()), "shift")
        _clipped(epilogue, target)
        if epilogue.bias is not None:
            _array(epilogue.bias, np.float64, (channels,), "bias")
    _norms(epilogue.norms, channels)
    _bounds(epilogue.pre)
    _bounds(epilogue.post)


def _bounds(bounds: tuple[float, float]) -> None:
    _need(bounds[0] <= bounds[1], "clip")


def _clipped(arithmetic: p.IntEpilogue | p.IntAdd | p.IntMultiply | p.IntBinary, target: p.Buffer) -> None:
    """Check how integer arithmetic ends in codes of the output."""
    _need(arithmetic.zero_point == target.zero_point, "zero point")
    least, most = p.CODE_RANGES[target.dtype]
    _need(least <= arithmetic.qmin <= arithmetic.qmax <= most, "code")


def _sums_fit(epilogue: p.FloatEpilogue | p.IntEpilogue, magnitudes: np.ndarray, target: p.Buffer) -> None:
    """Check that sums of int16 codes times factors of these magnitudes, int64 (channels,), fit 64 bits through the epilogue."""
    if target.dtype != "int16" or isinstance(epilogue, p.FloatEpilogue):
        return
    reach = [abs(int(bias)) + int(magnitude) * 2**15 for bias, magnitude in zip(epilogue.acc_bias, magnitudes, strict=True)]
    _need(max(reach, default=0) < 2**SUM_BITS, "sum")
    for most, lo, hi, m, r in zip(reach, epilogue.lo, epilogue.hi, epilogue.m, epilogue.r, strict=True):
        ends = [min(max(end, int(lo)), int(hi)) for end in (-most, most)]
        _need(max(abs(end * int(m)) for end in ends) + abs(int(r)) + 2**31 < 2**63, "multiplier")


def _weighted(step: Any, source: p.Buffer, target: p.Buffer) -> None:
    """Check what convolutions of both kinds share."""
    weight, channels = step.weight, target.shape[2]
    _need(weight.ndim == 4 and step.groups >= 1 and weight.shape[0] % step.groups == 0, "weight")
    is_wide = target.dtype == "int8" and weight.dtype == np.int16
    kind = np.int16 if is_wide else "int8" if target.dtype == "int16" else target.dtype
    _array(weight, kind, (channels, *weight.shape[1:3], source.shape[2] // step.groups), "weight")
    _need(not is_wide or int(np.abs(weight.astype(np.int32)).max(initial=0)) <= p.WIDEST_WEIGHT, "weight")
    _need(not is_wide or getattr(step, "pool", None) is None, "pool")
    _need(source.shape[2] % step.groups == 0, "groups")
    if step.weight_scale is not None:
        _array(step.weight_scale, np.float64, (channels,), "weight scale")
    _epilogue(step.epilogue, channels, target)
    if target.dtype == "int16":
        _sums_fit(step.epilogue, np.abs(weight.astype(np.int64)).reshape(channels, -1).sum(axis=1), target)


def _convolution(step: p.Convolution, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _weighted(step, inputs[0], target)
    kh, kw = step.weight.shape[1:3]
    size = _windows(inputs[0].shape[:2], (kh, kw), step.strides, step.dilations, step.padding)
    if step.pool is not None:
        size = _pooled(size, step.pool)
    _need(target.shape[:2] == size, "output's shape")


def _transposed(step: p.TransposedConvolution, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _weighted(step, inputs[0], target)
    top, left, bottom, right = step.padding
    _need(all(0 <= value <= MAX_EXTENT for value in (*step.padding, *step.output_padding)), "padding")
    _need(all(1 <= value <= MAX_EXTENT for value in (*step.strides, *step.dilations)), "stride or dilation")
    cuts = (top + bottom, left + right)
    size = tuple(
        (inputs[0].shape[axis] - 1) * step.strides[axis]
        + step.dilations[axis] * (step.weight.shape[1 + axis] - 1)
        + 1
        + step.output_padding[axis]
        - cuts[axis]
        for axis in (0, 1)
    )
    _need(target.shape[:2] == size, "output's shape")


def _affine(step: p.Affine, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape, "output's shape")
    _epilogue(step.epilogue, target.shape[2], target)
    _sums_fit(step.epilogue, np.ones(target.shape[2], np.int64), target)


def _operands(step: p.Add | p.Multiply | p.Binary, inputs: list[p.Buffer], target: p.Buffer) -> None:
    """Check what steps of two operands share."""
    for sizes in zip(inputs[0].shape, inputs[1].shape, target.shape, strict=True):
        _need(all(size in (1, max(sizes[:2])) for size in sizes[:2]) and sizes[2] == max(sizes[:2]), "shape")
    _bounds(step.post)
    _need((step.arithmetic is not None) == p.holds_codes(target), "arithmetic")
    if step.arithmetic is not None:
        _clipped(step.arithmetic, target)


def _binary(step: p.Binary, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(step.function in BINARY, "function")
    _operands(step, inputs, target)
    arithmetic = step.arithmetic
    if arithmetic is not None:
        squared, plain = (0, 15) if target.dtype == "int16" else (7, 20)
        _need(step.function not in OF_REALS, "function")
        _need(arithmetic.shift == (squared if step.function == "squared_difference" else plain), "arithmetic")
        _need(len(arithmetic.m) == 3 and all(0 <= factor < 2**31 for factor in arithmetic.m), "arithmetic")
        _need(len(arithmetic.e) == 3 and all(0 <= shift <= 31 for shift in arithmetic.e), "shift")


def _sum_or_product(step: p.Add | p.Multiply, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _operands(step, inputs, target)
    if isinstance(step.arithmetic, p.IntAdd):
        double = step.arithmetic.rounding == "double"
        _need(step.arithmetic.rounding in ("single", "double"), "rounding")
        _need(len(step.arithmetic.m) == (3 if double else 2) and len(step.arithmetic.e) == (3 if double else 0), "arithmetic")
        _need(all(0 <= shift <= 62 for shift in (*step.arithmetic.e, step.arithmetic.s)), "shift")
    elif step.arithmetic is not None:
        _need(0 <= step.arithmetic.s <= 62, "shift")


def _matmul(step: p.MatMul, inputs: list[p.Buffer], target: p.Buffer) -> None:
    a, b = (buffer.shape for buffer in inputs)
    _need(a[2] == b[1] and (max(a[0], b[0]), a[1], b[2]) == target.shape and min(a[0], b[0]) in (1, target.shape[0]), "shape")
    _need((step.arithmetic is not None) == p.holds_codes(target), "arithmetic")
    if step.arithmetic is not None:
        _clipped(step.arithmetic, target)
        _need(target.dtype == "int8" or 0 <= step.arithmetic.m < 1 << 15, "arithmetic")  # of a sum of 46 bits
        _need(a[2] <= p.MATMUL_DEPTH and 0 <= step.arithmetic.s <= 62, "depth or shift")


def _pool(step: p.Pool, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need((*_pooled(inputs[0].shape[:2], step.window), inputs[0].shape[2]) == target.shape, "output's shape")
    if step.epilogue is not None:
        entries, positions = len(step.epilogue.acc_bias), step.window.kernel[0] * step.window.kernel[1]
        _need(step.window.function == "average" and entries in (1, positions), "epilogue")
        _epilogue(step.epilogue, entries, target)
        _need(target.dtype != "int16" or positions < 1 << 16, "kernel")
        _sums_fit(step.epilogue, np.full(entries, positions, np.int64), target)
    else:
        _need(target.dtype != "int16" or step.window.kernel[0] * step.window.kernel[1] < 1 << 16, "kernel")
        _same_codes(inputs[0], target)


def _lookup(step: p.Lookup, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape and target.dtype == "int8", "output")
    _array(step.table, np.int8, (1 if len(step.table) == 1 else target.shape[2], 256), "table")


def _rescale(step: p.Rescale, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape and p.holds_codes(inputs[0]) and p.holds_codes(target), "output")
    for arithmetic in (step.arithmetic, step.below):
        if arithmetic is not None:
            _clipped(arithmetic, target)
            _need(0 <= arithmetic.s <= 62 and abs(arithmetic.m) < 2**31 and abs(arithmetic.r) <= 2**62, "arithmetic")


def _curve(step: p.Curve, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape and target.dtype == "int16" and step.function in CURVES, "output")
    kind, length = CURVES[step.function]
    _array(step.table, kind, (length,), "table")
    _need(step.function == "table" or 0 <= step.multiplier < 1 << (31 if step.function == "rsqrt" else 15), "multiplier")
    least = -10 if step.function == "rsqrt" else 0  # reciprocal roots of 20 fraction bits go so far left within int32
    _need(least <= step.shift <= 31, "shift")
    _need(step.function == "table" or bool((np.diff(step.table.astype(np.int64)) >= 0).all()), "table")


def _elementwise(step: p.Elementwise, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape and target.dtype == "float32", "output")
    _need(step.function in _FUNCTIONS, "function")
    _bounds((step.low, step.high))
    _need(math.isfinite(step.alpha) and math.isfinite(step.beta), "alpha or beta")
    _need(step.function not in ("power", "exp_base") or abs(step.alpha) <= float(np.finfo(np.float32).max), "alpha")
    _need((step.slope is None) == (step.function != "prelu"), "slope")
    if step.slope is not None:
        _need(step.slope.ndim == 3, "slope")
        shape = tuple(1 if size == 1 else whole for size, whole in zip(step.slope.shape, target.shape, strict=True))
        _array(step.slope, np.float32, shape, "slope")


def _softmax(step: p.Softmax, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape and math.isfinite(step.beta), "output")
    _need((step.tables is not None) == (target.dtype == "int16"), "tables")
    if step.tables is not None:
        _array(step.tables, np.int16, (2, 513), "tables")
        _need(bool((step.tables[0] >= 0).all()) and step.tables[0, -1] > 0, "tables")  # so that no sum is 0
        _need(target.scale == 2.0**-15 and target.shape[2] <= 1 << 16 and -31 <= step.left_shift <= 14, "arithmetic")
    if target.dtype == "int8":
        _need((target.scale, target.zero_point) == p.SOFTMAX_CODES, "output's scale or zero point")
    _need(-(2**31) <= step.diff_min <= 0 and 0 <= step.multiplier < 2**31 and -31 <= step.left_shift <= 31, "arithmetic")


def _normalization(step: p.Normalization, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].dtype == target.dtype == "float32" and inputs[0].shape == target.shape, "output")
    _need(step.groups >= 0 and (step.groups == 0 or target.shape[2] % step.groups == 0), "groups")
    _need(math.isfinite(step.epsilon) and step.epsilon >= 0, "epsilon")
    for array in (step.gamma, step.beta):
        _array(array, np.float32, (target.shape[2],), "gamma or beta")


def _recurrence(step: p.Recurrence, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(step.cell in CELLS and step.gate in GATES and step.function in STATE_FUNCTIONS, "cell or function")
    _need(1 <= len(inputs) <= 1 + CELL_STATES[step.cell] and target.dtype == "float32", "inputs or type")
    units = target.shape[2]
    _array(step.weight, np.float32, (CELLS[step.cell] * units, units), "weight")
    _array(step.bias, np.float32, (units,), "bias")
    _need(step.reset_after or step.cell == "gru", "reset")
    _need(math.isfinite(step.slope) and step.limit > 0 and (step.cell == "lstm" or not step.gives_cell), "slope, limit or cell")
    moments = target.shape[1] - step.gives_cell
    _need(moments >= 1 and inputs[0].shape == (target.shape[0], moments, len(step.weight)), "shape")
    _need(all(buffer.shape == (target.shape[0], 1, units) for buffer in inputs[1:]), "first state")


def _unit_norm(step: p.UnitNorm, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape and target.dtype == "int8", "output")
    _need((target.scale, target.zero_point) == p.UNIT_CODES, "output's scale or zero point")
    _need(step.left_shift in (0, 7) and target.shape[2] <= p.UNIT_CHANNELS, "shift or channels")


def _detections(step: p.DetectionPostProcess, inputs: list[p.Buffer], target: p.Buffer) -> None:
    boxes, scores = (buffer.shape for buffer in inputs)
    counts = (step.classes, step.most, step.each, step.per_class)
    _need(target.dtype == "float32" and all(1 <= count <= MAX_EXTENT for count in counts), "type or count")
    _array(step.anchors, np.float32, (boxes[1], 4), "anchors")
    _need(boxes[0] == 1 and boxes[2] >= 4, "box codes")
    _need(scores[:2] == boxes[:2] and scores[2] - step.classes in (0, 1), "scores")
    _need(target.shape == (1, 1, 6 * step.most * step.each + 1), "output's shape")
    _need(all(math.isfinite(scale) and scale > 0 for scale in step.scales), "scales")
    _need(math.isfinite(step.score) and 0 < step.overlap <= 1, "score or overlap")


def _suppression(step: p.NonMaxSuppression, inputs: list[p.Buffer], target: p.Buffer) -> None:
    boxes, scores = (buffer.shape for buffer in inputs)
    _need(target.dtype == "int32" and all(buffer.dtype == "float32" for buffer in inputs), "type")
    _need(step.most >= 1 and step.score < math.inf and 0 <= step.overlap <= 1, "count, score or overlap")
    _need(boxes[0] == scores[0] == 1 and boxes[2] == 4 and scores[2] == boxes[1], "boxes or scores")
    _need(target.shape == (1, scores[1] * min(step.most, boxes[1]), 3), "output's shape")


def _concat(step: p.Concat, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(0 <= step.axis <= 2, "axis")
    shape = list(inputs[0].shape)
    shape[step.axis] = sum(buffer.shape[step.axis] for buffer in inputs)
    _need(tuple(shape) == target.shape, "output's shape")
    for buffer in inputs:
        _need(all(buffer.shape[axis] == shape[axis] for axis in range(3) if axis != step.axis), "input")
    _need(len(step.tables) == (len(inputs) if target.dtype == "int8" else 0), "tables")
    if target.dtype == "int16":
        for buffer in inputs:
            _same_codes(buffer, target)
    for buffer, table in zip(inputs, step.tables, strict=False):  # float32 and int16 have none
        if table is None:
            _same_codes(buffer, target)
        else:
            _array(table, np.int8, (256,), "table")


def _pad(step: p.Pad, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(all(0 <= side <= MAX_EXTENT for pair in step.pads for side in pair), "padding")
    shape = tuple(size + before + after for size, (before, after) in zip(inputs[0].shape, step.pads, strict=True))
    _need(shape == target.shape, "output's shape")
    _same_codes(inputs[0], target)
    if target.dtype == "float32":
        _need(math.isfinite(step.value), "value")
    else:
        least, most = p.CODE_RANGES.get(target.dtype, (0, 0))
        _need(step.value in range(least, most + 1), "value")


def _crop(step: p.Crop, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _same_codes(inputs[0], target)
    for start, size, whole in zip(step.starts, target.shape, inputs[0].shape, strict=True):
        _need(start >= 0 and start + size <= whole, "start")


def _resize(step: p.Resize, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(step.function in ("nearest", "bilinear") and inputs[0].shape[2] == target.shape[2], "function")
    _need(step.function == "nearest" or target.dtype != "int32", "function")
    _same_codes(inputs[0], target)
    truncated = step.truncation_offset is not None
    _need(not truncated or (step.truncation_offset in (0, 128) and target.dtype == "int8"), "offset")
    halves = step.adds_half is not None
    _need(not halves or (step.adds_half is True and not truncated and target.dtype == "int8"), "rounding")
    even = step.even_from is not None
    _need(not even or not (truncated or halves), "rounding")
    _need(step.even_from is None or (-128 <= step.even_from <= 127 and target.dtype == "int8"), "rounding")
    kind = np.float32 if target.dtype == "float32" or truncated or halves else np.int32
    for axis, indices, weights in ((0, step.rows, step.row_weights), (1, step.columns, step.column_weights)):
        _array(indices, np.int32, (target.shape[axis], 2), "index table")
        _need(bool(((indices >= 0) & (indices < inputs[0].shape[axis])).all()), "index table")
        _array(weights, kind, (target.shape[axis], 2), "weight table")
        most = 1024 if kind is np.int32 else 1.0005 if truncated else math.inf  # with more a sum would leave the codes
        if halves:
            _need(bool((np.abs(weights) <= MAX_HALF_WEIGHT).all()), "weight table")
            continue
        _need(math.isinf(most) or bool((weights >= 0).all() and (weights.sum(axis=1) <= most).all()), "weight table")


def _transpose(step: p.Transpose, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _same_codes(inputs[0], target)
    _need(sorted(step.permutation) == [0, 1, 2], "permutation")
    _need(tuple(inputs[0].shape[axis] for axis in step.permutation) == target.shape, "output's shape")


def _reshape(_: p.Reshape, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _same_codes(inputs[0], target)
    _need(math.prod(inputs[0].shape) == math.prod(target.shape), "output's shape")


def _quantize(_: p.Quantize, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape, "output's shape")
    _need(inputs[0].dtype == "float32" and p.holds_codes(target), "type")


def _dequantize(_: p.Dequantize, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape, "output's shape")
    _need(p.holds_codes(inputs[0]) and target.dtype == "float32", "type")


def _cast(_: p.Cast, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(inputs[0].shape == target.shape, "output's shape")
    _need((inputs[0].dtype, target.dtype) in (("float32", "int32"), ("int32", "float32")), "type")


def _meeting(inputs: list[p.Buffer], target: p.Buffer) -> None:
    """Check that inputs broadcast to the output."""
    for *sizes, size in zip(*(buffer.shape for buffer in inputs), target.shape, strict=True):
        _need(size == max(sizes) and set(sizes) <= {1, size}, "shape")


def _integer_binary(step: p.IntegerBinary, inputs: list[p.Buffer], target: p.Buffer) -> None:
    types = {buffer.dtype for buffer in inputs}
    _need(step.function in INTEGER_BINARY, "function")
    _need(target.dtype == "int32" and (types == {"int32"} or (types == {"float32"} and step.function in COMPARISONS)), "type")
    _meeting(inputs, target)


def _arg_extreme(step: p.ArgExtreme, inputs: list[p.Buffer], target: p.Buffer) -> None:
    _need(step.function in ("max", "min") and 0 <= step.axis <= 2, "function or axis")
    _need(target.dtype == "int32" and inputs[0].dtype != "int16", "type")
    count = 1 if step.count is None else step.count
    _need(1 <= count <= inputs[0].shape[step.axis], "count")
    shape = tuple(count if axis == step.axis else size for axis, size in enumerate(inputs[0].shape))
    _need(shape == target.shape, "output's shape")


def _select(_: p.Select, inputs: list[p.Buffer], target: p.Buffer) -> None:
    condition, *values = inputs
    _need(condition.dtype == "int32" and all(buffer.dtype == target.dtype for buffer in values), "type")
    _meeting(inputs, target)
    for buffer in values:
        _same_codes(buffer, target)


def _gather_nd(step: p.GatherND, inputs: list[p.Buffer], target: p.Buffer) -> None:
    values, indices = inputs
    _need(indices.dtype == "int32" and values.dtype == target.dtype, "type")
    _same_codes(values, target)
    indexed = indices.shape[2] - step.first
    _need(step.axis >= 0 and step.first >= 0 and 1 <= indexed <= 3 - step.axis, "axis or index")
    _need(all(size == 1 for size in (*values.shape[: step.axis], indices.shape[0])), "shape")
    _need(target.shape == (1, indices.shape[1], math.prod(values.shape[step.axis + indexed :])), "output's shape")


_CHECKS: dict[type[p.Step], Callable[[Any, list[p.Buffer], p.Buffer], None]] = {
    p.Convolution: _convolution,
    p.TransposedConvolution: _transposed,
    p.Affine: _affine,
    p.Add: _sum_or_product,
    p.Multiply: _sum_or_product,
    p.MatMul: _matmul,
    p.Binary: _binary,
    p.Pool: _pool,
    p.Lookup: _lookup,
    p.Rescale: _rescale,
    p.Curve: _curve,
    p.Elementwise: _elementwise,
    p.Softmax: _softmax,
    p.Normalization: _normalization,
    p.Recurrence: _recurrence,
    p.UnitNorm: _unit_norm,
    p.DetectionPostProcess: _detections,
    p.NonMaxSuppression: _suppression,
    p.Concat: _concat,
    p.Pad: _pad,
    p.Crop: _crop,
    p.Resize: _resize,
    p.Transpose: _transpose,
    p.Reshape: _reshape,
    p.Quantize: _quantize,
    p.Dequantize: _dequantize,
    p.Cast: _cast,
    p.IntegerBinary: _integer_binary,
    p.ArgExtreme: _arg_extreme,
    p.Select: _select,
    p.GatherND: _gather_nd,
}
