"""Packs elementwise steps: affine, add, multiply, lookup, activation functions."""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.functions import BINARY
from edgebn.kernels import executor, isa
from edgebn.kernels.records import CURVES, NEGATIVE_ROUNDING, POINTWISE
from edgebn.session.epilogues import Plain, pack_copy
from edgebn.session.observing import AccumulatorObserver, whole_vectors
from edgebn.session.operands import by_pixel, by_row, operands, repeating, rescaling, zero_points
from edgebn.session.packer import Address, Packer, View, epilogue_arguments, suffix


def pack_affine(step: p.Affine, packer: Packer) -> None:
    """Emit a batch norm of its own."""
    kind = suffix(packer.buffer(step.output).dtype)
    arguments = {**by_pixel(step, packer), **epilogue_arguments(step.epilogue)}
    rows, columns, channels = packer.view(step.output).layout.shape
    observer = AccumulatorObserver(packer, step, rows, columns)
    saved_pixel = whole_vectors(channels)
    saved = observer.by_row(0, rows, (columns * saved_pixel, saved_pixel))
    packer.emit_saving(f"affine_{kind}", saved, epilogue=pack_copy(step, packer, Plain(channels))[0], **arguments)
    observer.reduce_statistics(0, columns * saved_pixel, saved_pixel, columns, np.arange(channels), np.full(channels, True))


def pack_add(step: p.Add, packer: Packer) -> None:
    """Emit a sum."""
    arguments = operands(step, packer)
    arithmetic = step.arithmetic
    if arithmetic is None:
        packer.emit("add_f32", low=step.post[0], high=step.post[1], **arguments)
        return
    kind = suffix(packer.buffer(step.output).dtype)
    if kind == "i8" and _emit_add_tile(step, arithmetic, packer):
        return
    arguments |= zero_points(step, packer)
    arguments |= {"a_multiplier": arithmetic.m[0], "b_multiplier": arithmetic.m[1]}
    arguments |= {"zero_point": arithmetic.zero_point, "qmin": arithmetic.qmin, "qmax": arithmetic.qmax}
    if arithmetic.rounding == "single":
        packer.emit(f"add_{kind}", rounding=arithmetic.r, shift=arithmetic.s, **arguments)
    else:
        shifts = {"a_shift": arithmetic.e[0], "b_shift": arithmetic.e[1], "total_shift": arithmetic.e[2]}
        packer.emit(f"add_double_{kind}", total_multiplier=arithmetic.m[2], **shifts, **arguments)


def _emit_add_tile(step: p.Add, arithmetic: p.IntAdd, packer: Packer) -> bool:
    """Emit an int8 sum of equal shapes for the vector kernel, where there is one and it can be exact; say whether it was."""
    views = [packer.view(name) for name in step.inputs]
    output = packer.view(step.output)
    if "add_tile_i8" not in executor.operations() or any(view.layout.shape != output.layout.shape for view in views):
        return False
    zeros = [packer.buffer(name).zero_point for name in step.inputs]
    centred = [np.arange(-128, 128, dtype=np.int64) - zero for zero in zeros]
    if arithmetic.rounding == "single":
        tables = [values * m for values, m in zip(centred, arithmetic.m, strict=True)]
        final = (1, arithmetic.r, arithmetic.s, 0)
    else:
        tables = [_rescaled(values << 20, m, e) for values, m, e in zip(centred, arithmetic.m[:2], arithmetic.e[:2], strict=True)]
        m, e = arithmetic.m[2], arithmetic.e[2]
        final = (m, (1 << 30) + (1 << (30 + e) if e else 0), 31 + e, int(e > 0))
    from edgebn.kernels import add_int8_proof

    proof = add_int8_proof.sum_proof(tables[0], tables[1], final, (arithmetic.zero_point, arithmetic.qmin, arithmetic.qmax))
    if proof is None:
        return False
    rows, columns, channels = output.layout.shape
    count = columns * channels
    if all(view.row == count for view in (*views, output)):
        rows, count = 1, rows * count
    packer.emit(
        "add_tile_i8",
        a=views[0].address,
        a_row=views[0].row,
        b=views[1].address,
        b_row=views[1].row,
        dst=output.address,
        dst_row=output.row,
        rows=rows,
        count=count,
        a_flip=0,
        b_flip=0,
        dst_flip=0,
        a_table=packer.constant(proof.a_table),
        b_table=packer.constant(proof.b_table),
        **proof.scalars,
    )
    return True


def _rescaled(v: np.ndarray, m: int, e: int) -> np.ndarray:
    """TensorFlow Lite Micro's rescaling of int64 values: see `program.IntAdd`."""
    if e == 0:
        return (v * m + (1 << 30)) >> 31
    return (v * m + (1 << 30) + (1 << (30 + e)) - np.where(v < 0, np.int64(1 << 31), 0)) >> (31 + e)


def pack_multiply(step: p.Multiply, packer: Packer) -> None:
    """Emit a product."""
    arguments = operands(step, packer)
    arithmetic = step.arithmetic
    if arithmetic is None:
        packer.emit("multiply_f32", low=step.post[0], high=step.post[1], **arguments)
        return
    from edgebn.session import scaling

    if scaling.emit(step, packer, {**zero_points(step, packer), **rescaling(arithmetic)}):
        return
    packer.emit(
        f"multiply_{suffix(packer.buffer(step.output).dtype)}", **arguments, **zero_points(step, packer), **rescaling(arithmetic)
    )


def pack_binary(step: p.Binary, packer: Packer) -> None:
    """Emit a function of two values."""
    arguments, arithmetic = operands(step, packer), step.arithmetic
    function = list(BINARY).index(step.function)
    if arithmetic is None:
        arguments |= {"low": step.post[0], "high": step.post[1]}
        if step.function == "power":
            packer.emit("power_f32", **arguments)
        else:
            packer.emit("binary_f32", function=function, **arguments)
        return
    arguments |= {"function": function} | zero_points(step, packer) | {"left_shift": arithmetic.shift}
    arguments |= dict(zip(("a_multiplier", "b_multiplier", "multiplier"), arithmetic.m, strict=True))
    arguments |= dict(zip(("a_shift", "b_shift", "shift"), arithmetic.e, strict=True))
    kind = suffix(packer.buffer(step.output).dtype)
    packer.emit(f"binary_{kind}", zero_point=arithmetic.zero_point, qmin=arithmetic.qmin, qmax=arithmetic.qmax, **arguments)


def pack_lookup(step: p.Lookup, packer: Packer) -> None:
    """Emit a table."""
    emit_lookup(packer, packer.view(step.inputs[0]), packer.view(step.output), step.table)


def emit_lookup(packer: Packer, source: View, output: View, table: np.ndarray) -> None:
    """Pass every code of `source` through `table` (1 or channels, 256) to where `output` begins."""
    rows, columns, channels = source.layout.shape
    by_byte = np.arange(256) ^ 0x80 ^ isa.CODE_FLIP  # code + 128 of a stored byte
    stored = np.asarray(table, np.int8).view(np.uint8)[:, by_byte] ^ np.uint8(isa.CODE_FLIP)
    packer.emit(
        "lookup_i8",
        src=source.address,
        src_row=source.row,
        src_pixel=source.pixel,
        dst=output.address,
        dst_row=output.row,
        dst_pixel=output.pixel,
        rows=rows,
        columns=columns,
        channels=channels,
        table=packer.constant(stored),
        table_step=256 if len(table) > 1 else 0,
    )


def pack_rescale(step: p.Rescale, packer: Packer) -> None:
    """Emit codes to codes of another scale or type."""
    source, output = packer.buffer(step.inputs[0]), packer.buffer(step.output)
    above, below = step.arithmetic, step.below or step.arithmetic
    arguments: dict[str, Address | float] = {"multiplier": above.m, "rounding": above.r, "shift": above.s}
    below_rounding = below.r - (NEGATIVE_ROUNDING if below.neg else 0)
    arguments |= {"below_multiplier": below.m, "below_rounding": below_rounding, "below_shift": below.s}
    arguments |= {"source_zero": source.zero_point, "zero_point": above.zero_point, "qmin": above.qmin, "qmax": above.qmax}
    packer.emit(f"rescale_{suffix(source.dtype)}_{suffix(output.dtype)}", **by_row(step, packer), **arguments)


def pack_curve(step: p.Curve, packer: Packer) -> None:
    """Emit a function of int16 codes."""
    scalars = {"function": CURVES.index(step.function), "multiplier": step.multiplier, "shift": step.shift}
    packer.emit("curve_i16", table=packer.constant(step.table), **scalars, **by_row(step, packer))


def pack_elementwise(step: p.Elementwise, packer: Packer) -> None:
    """Emit a float32 activation function."""
    if step.function == "prelu":
        arguments = by_pixel(step, packer)
        slope = np.asarray(step.slope, np.float32)
        slope = slope.reshape((1,) * (3 - slope.ndim) + slope.shape)
        row, pixel, channel = repeating(slope.shape, (slope.shape[1] * slope.shape[2], slope.shape[2], 1))
        steps = {"slope_row": row, "slope_pixel": pixel, "slope_channel": channel}
        packer.emit("prelu_f32", slope=packer.constant(slope), **steps, **arguments)
        return
    parameters = {"clip": (step.low, step.high), "hard_sigmoid": (step.alpha, step.beta)}
    parameters |= dict.fromkeys(("leaky_relu", "elu", "power", "exp_base"), (step.alpha, 0.0))
    first, second = parameters.get(step.function, (0.0, 0.0))
    variant = POINTWISE.index(step.function)
    packer.emit("pointwise_f32", variant=variant, first=first, second=second, **by_row(step, packer))


def pack_quantize(step: p.Quantize, packer: Packer) -> None:
    """Emit float32 to codes."""
    buffer = packer.buffer(step.output)
    kind = "_i16" if buffer.dtype == "int16" else ""
    packer.emit(f"quantize_rows{kind}", scale=buffer.scale, zero_point=buffer.zero_point, **by_row(step, packer))


def pack_dequantize(step: p.Dequantize, packer: Packer) -> None:
    """Emit codes to float32."""
    buffer = packer.buffer(step.inputs[0])
    kind = "_i16" if buffer.dtype == "int16" else ""
    packer.emit(f"dequantize_rows{kind}", scale=buffer.scale, zero_point=buffer.zero_point, **by_row(step, packer))
