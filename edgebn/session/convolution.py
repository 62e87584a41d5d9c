"""Packs convolutions, dense layers and transposed convolutions: which kernel, which steps through memory, which rows at a time.

A fused pool is not a kernel of its own: the convolution writes a ring of as many unpooled rows as a window spans, and the
pool reads the ring, pooled row by pooled row. The unpooled value is never whole in memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.session import bands, depthwise, parts
from edgebn.session.epilogues import Plain, pack_copy
from edgebn.session.observing import AccumulatorObserver, keeps_rows_adjacent, whole_vectors
from edgebn.session.options import Options
from edgebn.session.packer import Address, Packer, epilogue_arguments, scratch_name, suffix
from edgebn.session.pooling import Target as PoolTarget
from edgebn.session.pooling import emit_pool, pool_scratch
from edgebn.session.tiled import Target, TileEmitter, Walk, fits_dot, is_wide, suits, tile_operation, walk_through

if TYPE_CHECKING:
    from edgebn.session.wide import Emitter

# Fewer weights of a dense layer than this are read faster than the places of what is not zero are listed, or than codes are split.
MIN_DENSE_WEIGHTS = 4096
# Products an output up to which int16 codes are multiplied output beside output, where there are so many (measured).
FEW_PRODUCTS, FEW_OUTPUTS = 128, 8


def scratch(step: p.Convolution, program: p.Program, options: Options) -> Mapping[str, int]:
    """Return the scratch of a convolution: accumulators, Winograd's planes, places of inputs, a pool's ring and sums."""
    wanted = {}
    dtype = p.step_dtype(step, program)
    shared = {}  # by all bands
    if dtype == "int16":
        if is_depthwise(step) or _goes_along_outputs(step):
            wanted["accumulators"] = 4 * step.weight.shape[0]
    elif is_depthwise(step):
        if not depthwise.suits(step, dtype):
            wanted["accumulators"] = 4 * step.weight.shape[0]
        elif depthwise.multiplier(step) > 1:
            shared["repeated"] = depthwise.scratch(step, program)
    if _is_dense(step, program):
        from edgebn.session import dense

        wanted["places"] = dense.scratch(step)
    if _goes_by_planes(step, program, options):
        from edgebn.session import winograd

        wanted["planes"] = winograd.scratch(step, program)
    if step.pool is not None:
        rows, columns, channels = p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)
        element = np.dtype(dtype).itemsize
        wanted["ring"] = min(rows, window_span(step.pool)) * columns * channels * element
        wanted |= pool_scratch(step.pool, dtype, channels)
    count = len(_bands(step, program, options))
    for what in ("places", *(("accumulators", "sums") if count == 1 else ())):  # bands are not split into shares, a lone one is
        if what in wanted:
            wanted[what] *= parts.most_shares(options.threads)
    if count > 1:
        wanted = {scratch_name(what, band): size for what, size in wanted.items() for band in range(count)}
    return shared | wanted


def _bands(step: p.Convolution, program: p.Program, options: Options) -> list[bands.Band]:
    """Return the rows that each thread may take; the bytes of no output depend on where bands begin.

    One band where no scratch is written: what is split there is said in `shares`.
    """
    unit = 1
    by_planes = _goes_by_planes(step, program, options)
    if by_planes:
        from edgebn.session import winograd

    if step.pool is None and not (by_planes and winograd.are_weights_near(step, program)):
        unit = 0
    elif by_planes:  # its rounding depends on where tiles begin
        unit = winograd.STEP
        if step.pool is not None:
            unit = int(step.pool.strides[0] >= window_span(step.pool))
    if keeps_rows_adjacent(step, program):  # what a tile keeps beyond a row's end must be overwritten by the next row
        unit = 0
    return bands.bands(step, program, options.threads, unit)


def is_depthwise(step: p.Convolution) -> bool:
    """Whether every output channel reads one input channel."""
    return step.groups > 1 and step.weight.shape[3] == 1


def window_span(window: p.Window) -> int:
    """Return how many rows a pooling window reaches over."""
    return window.dilations[0] * (window.kernel[0] - 1) + 1


def pack(step: p.Convolution, packer: Packer) -> None:
    """Emit a convolution, with its pool if it has one."""
    rows, columns, channels = p.unpooled_shape(step, packer.buffer(step.inputs[0]).shape)
    emitter = _emitter(step, packer, rows, columns)
    found = _bands(step, packer.program, packer.options)
    for band, (first, count) in enumerate(found):
        with packer.in_band(band if len(found) > 1 else None):
            if step.pool is None:
                output = packer.view(step.output)
                emitter.rows(first, count, Target(output.address + first * output.row, output.row, output.pixel))
            else:
                _pack_pooled(step, packer, emitter, step.pool, (rows, columns, channels), (first, count))
    emitter.reduce_statistics()


def _pack_pooled(
    step: p.Convolution, packer: Packer, emitter: Emitter, pool: p.Window, shape: p.Hwc, pooled_rows: bands.Band
) -> None:
    """Emit some pooled rows of a convolution whose unpooled value has a shape."""
    rows, columns, channels = shape
    output = packer.view(step.output)
    element = output.layout.element
    ring_rows = min(rows, window_span(pool))
    ring = Target(packer.scratch(step, "ring"), columns * channels * element, channels * element)
    computed = 0  # rows below this one are in the ring, or no longer needed
    for pooled_row in range(pooled_rows[0], sum(pooled_rows)):
        begin = pooled_row * pool.strides[0] - pool.padding[0]
        end = min(begin + window_span(pool), rows)
        row = max(begin, computed, 0)
        while row < end:
            slot = row % ring_rows
            count = min(end - row, ring_rows - slot)
            emitter.rows(row, count, Target(ring.address + slot * ring.row, ring.row, ring.pixel))
            row += count
        computed = max(computed, end)
        emit_pool(
            packer,
            step,
            pool,
            source=(ring.address, ring.row, ring_rows),
            shape=shape,
            target=PoolTarget(output.address, output.row, output.layout.shape),
            rows=(pooled_row, 1),
            padding_value=packer.buffer(step.output).zero_point,
        )


class _PlainEmitter:
    """Emits any range of a convolution's unpooled rows for the plain kernels; weights and epilogue are packed once."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk, rows: int) -> None:
        dtype = p.step_dtype(step, packer.program)
        channels, kernel_rows, kernel_columns, _ = step.weight.shape
        weight = step.weight
        arguments: dict[str, Address | float] = {
            "column_step": walk.column_step,
            "tap_row_step": walk.tap_row_step,
            "tap_column_step": walk.tap_column_step,
            "tap_rows": walk.tap_rows,
            "tap_columns": walk.tap_columns,
            "columns": walk.columns,
            "epilogue": pack_copy(step, packer, Plain(channels))[0],
        }
        if is_depthwise(step):
            self._operation = f"depthwise_{suffix(dtype)}"
            weight = weight.reshape(channels, kernel_rows, kernel_columns).transpose(1, 2, 0)
            arguments |= {"channels": channels, "multiplier": channels // step.groups}
        else:
            self._operation = f"convolution_{suffix(dtype)}"
            arguments |= {"run": walk.run, "groups": step.groups, "group_outputs": channels // step.groups}
        self._step = step
        self._packer = packer
        self._walk = walk
        weights = packer.constant(weight.astype(dtype, copy=False))
        self._arguments = {**arguments, "weight": weights, **epilogue_arguments(step.epilogue)}
        self._observer = AccumulatorObserver(packer, step, rows, walk.columns)
        self._saved_pixel = whole_vectors(channels)
        self._channels = np.arange(channels)

    def rows(self, first: int, count: int, target: Target) -> None:
        saved_row = self._walk.columns * self._saved_pixel
        scratch = {"scratch": self._packer.scratch(self._step, "accumulators")} if is_depthwise(self._step) else {}
        self._packer.emit_saving(
            self._operation,
            self._observer.by_row(first, count, (saved_row, self._saved_pixel)),
            **scratch,
            src=self._walk.origin + first * self._walk.row_step,
            row_step=self._walk.row_step,
            dst=target.address,
            dst_row=target.row,
            dst_pixel=target.pixel,
            rows=count,
            **self._arguments,
        )

    def reduce_statistics(self) -> None:
        columns = self._walk.columns
        self._observer.reduce_statistics(
            0, columns * self._saved_pixel, self._saved_pixel, columns, self._channels, self._channels >= 0
        )


def _emitter(step: p.Convolution, packer: Packer, rows: int, columns: int) -> Emitter:
    walk = walk_through(step, packer.view(step.inputs[0]), columns)
    dtype = p.step_dtype(step, packer.program)
    if dtype == "int16":
        if is_depthwise(step) and _sums_fit(step.weight):
            return _PlainEmitter(step, packer, walk, rows)
        if _goes_along_outputs(step):
            from edgebn.session import wide

            return wide.AlongOutputs(step, packer, walk)
        return _wide(step, packer, walk)
    if is_depthwise(step):
        if depthwise.suits(step, dtype):
            return _patched(step, packer, walk, rows, depthwise.emitter(step, packer, walk, rows))
    elif walk.tap_rows * walk.tap_columns == 1 and _is_dense(step, packer.program):
        from edgebn.session import dense

        return dense.DenseEmitter(step, packer, walk)
    elif _goes_by_planes(step, packer.program, packer.options):
        from edgebn.session import winograd

        return winograd.WinogradEmitter(step, packer, walk, rows)
    elif suits(step, dtype):
        return TileEmitter(step, packer, walk, rows)
    if is_wide(step):
        return _wide(step, packer, walk)
    return _PlainEmitter(step, packer, walk, rows)


def _sums_fit(weight: np.ndarray) -> bool:
    """Whether 32 bits hold every sum of products of int16 codes, without its bias."""
    sums = np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1)
    return bool(sums.max(initial=0) << 15 < 1 << 31)


def _goes_along_outputs(step: p.Convolution) -> bool:
    """Whether a convolution of int16 codes has so few weights an output that its outputs are computed side by side."""
    outputs, *taps = step.weight.shape
    return step.groups == 1 and outputs >= FEW_OUTPUTS and math.prod(taps) <= FEW_PRODUCTS and _sums_fit(step.weight)


def _is_dense(step: p.Convolution, program: p.Program) -> bool:
    """Whether a kernel for dense layers takes a convolution, which a program of none need not import."""
    whole = step.weight.shape[1:3] == program.buffers[step.inputs[0]].shape[:2] and step.padding == (0, 0, 0, 0)
    if not whole or step.dilations != (1, 1) or step.groups != 1 or step.pool is not None or step.weight.size < MIN_DENSE_WEIGHTS:
        return False
    if f"dense_{suffix(p.step_dtype(step, program))}" not in executor.operations():
        return False
    from edgebn.session import dense

    return dense.suits(step, program)


def _goes_by_planes(step: p.Convolution, program: p.Program, options: Options) -> bool:
    """Whether a convolution goes by Winograd's algorithm, which a program of none need not import."""
    channels, kernel_rows, kernel_columns, run = step.weight.shape
    fits = options.winograd and (kernel_rows, kernel_columns) == (3, 3) and step.strides == step.dilations == (1, 1)
    dtype, lanes = p.step_dtype(step, program), isa.SELECTED.lanes
    if not fits or step.groups != 1 or channels < lanes or (dtype == "int8" and run < lanes):  # of so few codes it never pays
        return False
    if f"winograd_input_{suffix(dtype)}" not in executor.operations():
        return False
    from edgebn.session import winograd

    return winograd.suits(step, program)


def _patched(step: p.Convolution, packer: Packer, walk: Walk, rows: int, narrow: Emitter) -> Emitter:
    """Return what emits a depthwise convolution: channels that its kernel cannot hold are computed again."""
    left = np.flatnonzero(~depthwise.int8_kernel(step).is_whole) if is_wide(step) else ()
    if not len(left):
        return narrow
    from edgebn.session import wide

    return wide.PatchedEmitter(step, packer, walk, rows, narrow, np.asarray(left))


def _wide(step: p.Convolution, packer: Packer, walk: Walk) -> Emitter:
    from edgebn.session import wide

    return wide.PlainEmitter(step, packer, walk)


def pack_transposed(step: p.TransposedConvolution, packer: Packer) -> None:
    """Emit a transposed convolution: its phases for the vector kernels, or as a whole for the plain one."""
    if _has_vector_phases(step, packer) or is_wide(step) or packer.buffer(step.output).dtype == "int16":
        _pack_phases(step, packer)
    else:
        _pack_whole(step, packer)


def _has_vector_phases(step: p.TransposedConvolution, packer: Packer) -> bool:
    """Whether vector kernels can take every phase. What is observed is saved row by row, and phases share rows."""
    channels, _, _, per_group = step.weight.shape
    dtype = packer.buffer(step.output).dtype
    if dtype == "int16":
        return False
    if per_group == 1 and step.groups > 1:
        takes = step.groups == channels and depthwise.operation(dtype) in executor.operations()
    else:
        takes = tile_operation(dtype) in executor.operations()
    return (
        takes
        and fits_dot(step.weight)
        and AccumulatorObserver(packer, step, *packer.view(step.output).layout.shape[:2]).layer is None
    )


def _pack_phases(step: p.TransposedConvolution, packer: Packer) -> None:
    from edgebn.session import phases

    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    strides = step.strides
    for phase in phases.phases(step, source.layout.shape, output.layout.shape, packer.buffer(step.inputs[0]).zero_point):
        (row, column), (rows, columns) = phase.first, phase.shape
        walk = walk_through(phase.step, source, columns)
        emitter: Emitter
        if not _has_vector_phases(step, packer):  # int16 weights or codes, for which there is no plain kernel
            emitter = _wide(phase.step, packer, walk)
        elif is_depthwise(phase.step):
            narrow = depthwise.DepthwiseEmitter(phase.step, packer, walk, rows, apart=strides[1] > 1)
            emitter = _patched(phase.step, packer, walk, rows, narrow)
        else:
            emitter = TileEmitter(phase.step, packer, walk, rows)
        first = output.address + (row * output.row + column * output.pixel)
        emitter.rows(0, rows, Target(first, strides[0] * output.row, strides[1] * output.pixel))


def _pack_whole(step: p.TransposedConvolution, packer: Packer) -> None:
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    channels, kernel_rows, kernel_columns, per_group = step.weight.shape
    arguments: dict[str, Address | float] = {
        "src": source.address,
        "src_row": source.row,
        "src_pixel": source.pixel,
        "height": source.layout.shape[0],
        "width": source.layout.shape[1],
        "dst": output.address,
        "dst_row": output.row,
        "dst_pixel": output.pixel,
        "rows": output.layout.shape[0],
        "columns": output.layout.shape[1],
        "kernel_rows": kernel_rows,
        "kernel_columns": kernel_columns,
        "stride_rows": step.strides[0],
        "stride_columns": step.strides[1],
        "dilation_rows": step.dilations[0],
        "dilation_columns": step.dilations[1],
        "top": step.padding[0],
        "left": step.padding[1],
        "run": per_group,
        "groups": step.groups,
        "group_outputs": channels // step.groups,
        **epilogue_arguments(step.epilogue),
    }
    observer = AccumulatorObserver(packer, step, *output.layout.shape[:2])
    saved_pixel = whole_vectors(channels)
    saved_row = output.layout.shape[1] * saved_pixel
    saved = observer.by_row(0, output.layout.shape[0], (saved_row, saved_pixel))
    if isinstance(step.epilogue, p.FloatEpilogue):
        weight = packer.constant(step.weight.astype(np.float32, copy=False))
        epilogue, _ = pack_copy(step, packer, Plain(channels))
        packer.emit_saving("transposed_convolution_f32", saved, weight=weight, epilogue=epilogue, **arguments)
        observer.reduce_statistics(0, saved_row, saved_pixel, output.layout.shape[1], np.arange(channels), np.full(channels, True))
        return
    zero_point = packer.buffer(step.inputs[0]).zero_point
    # The kernel's taps read code less zero point; a tap that meets no pixel reads the zero point, whose share is this constant.
    share = zero_point * step.weight.astype(np.int64).sum(axis=(1, 2, 3))
    weight = packer.constant(step.weight.astype(np.int8, copy=False))
    packer.emit_saving(
        "transposed_convolution_i8",
        saved,
        weight=weight,
        epilogue=pack_copy(step, packer, Plain(channels, share))[0],
        input_zero_point=zero_point,
        **arguments,
    )
    observer.reduce_statistics(0, saved_row, saved_pixel, output.layout.shape[1], np.arange(channels), np.full(channels, True))
