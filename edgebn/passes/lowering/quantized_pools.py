"""Pools and reductions of a quantised graph; TensorFlow Lite's MEAN and SUM have an arithmetic of their own."""

from __future__ import annotations

import math

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.layers import Layer, Quantization, Reduce
from edgebn.layers import Pool as PoolLayer
from edgebn.passes.graph.requantizations import same_codes
from edgebn.passes.graph.transposing import last_run, over_space
from edgebn.passes.integer.multipliers import INT32_MAX, average_epilogue, prove_epilogue, quantize_multiplier, widened
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import CODE_RANGES, Buffer, Hwc, IntEpilogue, IntMultiply, Lookup, Pool, Rescale, Reshape, Window
from edgebn.quick_dataclass import replace


def pool(state: Lowering, layer: Layer) -> None:
    """Max or average pooling; a clip behind it is a table, and so is another scale where an average cannot round to it at once."""
    assert isinstance(layer, PoolLayer)
    source, before = state.buffer(layer.inputs[0]), state.quantizations[layer.inputs[0]]
    window = Window(
        layer.function,
        layer.kernel,
        layer.strides,
        layer.dilations,
        layer.padding,
        layer.count_padding,
        layer.clipped_end,
    )
    value, qmin, qmax = state.with_clips(layer)
    after = state.quantizations[value]
    if layer.function == "average" and state.is_unsigned(value):
        output = state.make(value)
        epilogue = _unsigned_average(output, _counts(layer), qmin, qmax, state.where(layer))
        state.add(layer, Pool(state.step_name(layer), (source.name,), output.name, window, epilogue))
        return
    if layer.function == "average" and not state.double:
        window = _with_ties(window, _zero_point(before) - (_zero_point(after) if layer.rounds_codes else 0))
    if layer.function == "average" and not state.double and not _same_steps(before, after):
        output = state.make(value)
        epilogue = average_epilogue(source, output, _counts(layer), state.where(layer))
        epilogue = replace(epilogue, qmin=max(epilogue.qmin, qmin), qmax=min(epilogue.qmax, qmax))
        state.add(layer, Pool(state.step_name(layer), (source.name,), output.name, window, epilogue))
        return
    output = state.make(value)
    plain = same_codes(before, after) and (qmin, qmax) == CODE_RANGES[output.dtype]
    target = output if plain else state.scratch(f"{layer.name}/pooled", output.shape, before)
    state.add(layer, Pool(state.step_name(layer), (source.name,), target.name, window))
    if not plain and state.is_wide(value):
        state.rescaled(layer, target, output, (qmin, qmax), "clip")
    elif not plain:
        table = state.requantizing_table(before, after, qmin, qmax)
        state.steps.append(Lookup(state.step_name(layer, "clip"), (target.name,), output.name, table))


def _with_ties(window: Window, zero_point: int) -> Window:
    """An average of an ONNX file: ties go to the code that is an even number of steps from `zero_point`."""
    return replace(window, ties_to_even=zero_point % 2 == 0, ties_to_odd=zero_point % 2 == 1)


def _same_steps(before: Quantization | None, after: Quantization | None) -> bool:
    """Whether codes become the others by adding a whole number, which no rounding comes into."""
    if before is None or after is None:
        return False
    return same_codes(before, after) or (before.bits == after.bits == 8 and bool(np.array_equal(before.scale, after.scale)))


def _zero_point(quantization: Quantization | None) -> int:
    assert quantization is not None
    return int(quantization.zero_point[0])


def _counts(layer: PoolLayer) -> tuple[int, ...]:
    """Return the numbers of positions that windows may count, one epilogue entry each."""
    positions = layer.kernel[0] * layer.kernel[1]
    all_count = layer.padding == (0, 0, 0, 0) or (layer.count_padding and layer.clipped_end == (0, 0))
    return (positions,) if all_count else tuple(range(1, positions + 1))


def _unsigned_average(output: Buffer, counts: tuple[int, ...], qmin: int, qmax: int, where: str) -> IntEpilogue:
    """TensorFlow Lite's average of uint8 codes, (sum + n // 2) // n, by a reciprocal.

    With u = sum of (code + 128) + n // 2 below 256 n, and m = ceil(2**s / n), u * m / 2**s exceeds u / n by less than 256 n / 2**s;
    that is at most 1 / n, the least that floor could notice, where 2**s >= 256 n**2.
    """
    shift = (256 * max(counts) ** 2 - 1).bit_length()
    if shift > 30:
        raise UnsupportedLayerError(
            f"{where}: an average of {max(counts)} uint8 codes does not fit its arithmetic; pool in two steps"
        )
    n = np.array(counts, np.int64)
    acc_bias = 128 * n + n // 2
    entries = len(counts)
    epilogue = IntEpilogue(
        acc_bias.astype(np.int32),
        np.full(entries, -INT32_MAX - 1, np.int32),
        np.full(entries, INT32_MAX, np.int32),
        (-(-(1 << shift) // n)).astype(np.int32),
        np.full(entries, -(128 + output.zero_point) << shift, np.int64),
        np.full(entries, shift, np.uint8),
        False,
        output.zero_point,
        qmin,
        qmax,
    )
    prove_epilogue(epilogue, (acc_bias - 128 * n, acc_bias + 127 * n), where)
    return epilogue


def reduce(state: Lowering, layer: Layer) -> None:
    """Mean, sum, maximum or minimum over rows, columns or both, or over the channels alone."""
    assert isinstance(layer, Reduce)
    source, window, pooled = _window(state, layer)
    before, after = state.quantizations[layer.inputs[0]], state.quantizations[layer.output]
    output = state.make(layer.output)
    target = output if output.shape == pooled else state.scratch(f"{layer.name}/reduced", pooled, after)
    count = window.kernel[0] * window.kernel[1]
    name = state.step_name(layer)
    if layer.function == "max" or count == 1:
        _maximum(state, layer, source, window, target, (before, after))
    elif layer.function == "min":
        _minimum(state, layer, source, window, target, (before, after))
    elif not state.double and layer.function == "mean" and _same_steps(before, after):
        rounded = _with_ties(window, _zero_point(before))  # QLinearGlobalAveragePool too adds the zero point after it rounded
        direct = same_codes(before, after)
        mean = target if direct else state.scratch(f"{layer.name}/mean", target.shape, before)
        state.add(layer, Pool(name, (source.name,), mean.name, rounded))
        if not direct:
            table = state.requantizing_table(before, after)
            state.steps.append(Lookup(state.step_name(layer, "requantize"), (mean.name,), target.name, table))
    elif not state.double:
        whole = replace(source, scale=source.scale * count) if layer.function == "sum" else source
        epilogue = average_epilogue(whole, target, (count,), state.where(layer))
        state.add(layer, Pool(name, (source.name,), target.name, window, epilogue))
    else:
        divisor = 1 if layer.function == "sum" else count
        epilogue = _rescaled_sum(source, target, count, divisor, state.where(layer))
        state.add(layer, Pool(name, (source.name,), target.name, window, epilogue))
    if target is not output:
        state.steps.append(Reshape(state.step_name(layer, "shape"), (target.name,), output.name))


def _window(state: Lowering, layer: Reduce) -> tuple[Buffer, Window, Hwc]:
    """Return the buffer to pool, the window, and the pooled shape."""
    source = state.buffer(layer.inputs[0])
    shape = state.graph.tensors[layer.inputs[0]].shape
    axes = [axis for axis in sorted(set(layer.axes)) if shape[axis] != 1]
    function = "max" if layer.function in ("max", "min") else "average"
    if not axes or over_space(shape, axes):
        places = {axis + 3 - len(shape) for axis in axes}
        height, width, channels = source.shape
        kernel = (height if 0 in places else 1, width if 1 in places else 1)
        return source, Window(function, kernel, kernel), (height // kernel[0], width // kernel[1], channels)
    assert last_run(shape, axes) == axes  # layout.py has brought them side by side
    before, after = math.prod(shape[: axes[0]]), math.prod(shape[axes[-1] + 1 :])
    laid_out = (before, math.prod(shape[axes[0] : axes[-1] + 1]), after)
    kernel = (1, laid_out[1])
    if laid_out != source.shape:
        reshaped = state.scratch(f"{layer.name}/rows", laid_out, state.quantizations[layer.inputs[0]])
        state.steps.append(Reshape(state.step_name(layer, "rows"), (source.name,), reshaped.name))
        source = reshaped
    return source, Window(function, kernel, kernel), (before, 1, after)


def _maximum(
    state: Lowering, layer: Reduce, source: Buffer, window: Window, target: Buffer, quantization: tuple[Quantization, Quantization]
) -> None:
    """The maximum of the codes; another scale behind it is a table."""
    direct = same_codes(*quantization)
    pooled = target if direct else state.scratch(f"{layer.name}/maximum", target.shape, quantization[0])
    state.add(layer, Pool(state.step_name(layer), (source.name,), pooled.name, window))
    if not direct and state.is_wide(layer.output):
        state.rescaled(layer, pooled, target, part="requantize")
    elif not direct:
        table = state.requantizing_table(*quantization)
        state.steps.append(Lookup(state.step_name(layer, "requantize"), (pooled.name,), target.name, table))


def _minimum(
    state: Lowering, layer: Reduce, source: Buffer, window: Window, target: Buffer, quantization: tuple[Quantization, Quantization]
) -> None:
    """The maximum of the codes turned round, code -> -1 - code, and turned back on the way to the output's scale."""
    assert quantization[0] is not None
    if quantization[0].bits == 16:
        _wide_minimum(state, layer, source, window, target)
        return
    turned = Quantization.per_tensor(float(quantization[0].scale[0]), -1 - int(quantization[0].zero_point[0]))
    codes = np.arange(-128, 128).astype(np.int8)[np.newaxis]
    negative = state.scratch(f"{layer.name}/negative", source.shape, turned)
    greatest = state.scratch(f"{layer.name}/greatest", target.shape, turned)
    state.steps.append(Lookup(state.step_name(layer, "negative"), (source.name,), negative.name, codes[:, ::-1].copy()))
    state.add(layer, Pool(state.step_name(layer), (negative.name,), greatest.name, window))
    table = codes if same_codes(*quantization) else state.requantizing_table(*quantization)
    state.steps.append(Lookup(state.step_name(layer, "positive"), (greatest.name,), target.name, table[:, ::-1].copy()))


def _wide_minimum(state: Lowering, layer: Reduce, source: Buffer, window: Window, target: Buffer) -> None:
    """The same of int16 codes, whose zero point is 0."""
    before = state.quantizations[layer.inputs[0]]
    if not same_codes(before, state.quantizations[layer.output]):
        raise UnsupportedLayerError("a minimum over an axis in another scale has no int16 form; convert the model again")
    negative = state.scratch(f"{layer.name}/negative", source.shape, before)
    greatest = state.scratch(f"{layer.name}/greatest", target.shape, before)
    turned = IntMultiply(-1, -1, 0, False, 0, *CODE_RANGES["int16"])
    state.steps.append(Rescale(state.step_name(layer, "negative"), (source.name,), negative.name, turned))
    state.add(layer, Pool(state.step_name(layer), (negative.name,), greatest.name, window))
    state.steps.append(Rescale(state.step_name(layer, "positive"), (greatest.name,), target.name, turned))


def _rescaled_sum(source: Buffer, output: Buffer, count: int, divisor: int, where: str) -> IntEpilogue:
    """TensorFlow Lite's sum and mean of `count` codes: 1 / divisor (1 or count) goes into the multiplier, cut to an integer."""
    multiplier, shift = quantize_multiplier(source.scale / output.scale)
    extra = min(int(math.log2(divisor)), 32, 31 + shift)
    multiplier = (multiplier << extra) // divisor
    shift -= extra
    right = -shift
    s = 31 + right
    least, most = CODE_RANGES[source.dtype]
    if right >= 1:
        r, neg = 2**30 + 2 ** (30 + right), output.zero_point > least
    else:
        r, neg = 2 ** (30 + right), False
    acc_bias = -count * source.zero_point
    if 2 * most * count > INT32_MAX or not 1 <= s <= 62:
        raise UnsupportedLayerError(f"{where}: a mean or sum of {count} codes does not fit its arithmetic; reduce in two steps")
    epilogue = _mean_epilogue(acc_bias, multiplier, r, s, neg, output)
    prove_epilogue(epilogue, (np.array([acc_bias + least * count]), np.array([acc_bias + most * count])), where)
    return widened(epilogue) if source.dtype == "int16" else epilogue


def _mean_epilogue(acc_bias: int, m: int, r: int, s: int, neg: bool, output: Buffer) -> IntEpilogue:
    return IntEpilogue(
        np.array([acc_bias], np.int32),
        np.array([-INT32_MAX - 1], np.int32),
        np.array([INT32_MAX], np.int32),
        np.array([m], np.int32),
        np.array([r], np.int64),
        np.array([s], np.uint8),
        neg,
        output.zero_point,
        *CODE_RANGES[output.dtype],
    )
