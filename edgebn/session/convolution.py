"""Packs convolutions, dense layers and transposed convolutions: which kernel, which steps through memory, which rows at a time.

A fused pool is not a kernel of its own: the convolution writes a ring of as many unpooled rows as a window spans, and the
pool reads the ring, pooled row by pooled row. The unpooled value is never whole in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from edgebn import program as p
from edgebn.session import bands, dense, depthwise, winograd
from edgebn.session.epilogues import Plain, pack_copy
from edgebn.session.observing import Watcher, keeps_rows_adjacent, whole_vectors
from edgebn.session.options import Options
from edgebn.session.packer import Address, Packer, epilogue_arguments, scratch_name
from edgebn.session.pooling import emit_pool, pool_scratch
from edgebn.session.tiled import Target, TileEmitter, Walk, suits


def scratch(step: p.Convolution, program: p.Program, options: Options) -> Mapping[str, int]:
    """Return the scratch of a convolution: accumulators, Winograd's planes, places of inputs, a pool's ring and sums."""
    wanted = {}
    dtype = p.step_dtype(step, program)
    if is_depthwise(step) and not depthwise.suits(step, dtype):
        wanted["accumulators"] = 4 * step.weight.shape[0]
    if dense.suits(step, program):
        wanted["places"] = dense.scratch(step)
    if options.winograd and winograd.suits(step, program):
        wanted["planes"] = winograd.scratch(step, program)
    if step.pool is not None:
        rows, columns, channels = p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)
        element = 4 if dtype == "float32" else 1
        wanted["ring"] = min(rows, window_span(step.pool)) * columns * channels * element
        wanted |= pool_scratch(step.pool, dtype, channels)
    count = len(_bands(step, program, options))
    if count == 1:
        return wanted
    return {scratch_name(what, band): size for what, size in wanted.items() for band in range(count)}


def _bands(step: p.Convolution, program: p.Program, options: Options) -> list[bands.Band]:
    """Return the rows that each thread may take; the bytes of no output depend on where bands begin."""
    unit = 1
    if options.winograd and winograd.suits(step, program):  # its rounding depends on where tiles begin
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
    emitter.gather()


def _pack_pooled(
    step: p.Convolution, packer: Packer, emitter: Emitter, pool: p.Window, shape: p.Hwc, pooled_rows: bands.Band
) -> None:
    """Emit some pooled rows of a convolution whose unpooled value has a shape."""
    rows, columns, channels = shape
    element = packer.view(step.output).form.element
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
            rows=(pooled_row, 1),
            padding_value=packer.buffer(step.output).zero_point,
        )


class Emitter(Protocol):
    """Emits rows of a convolution."""

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` unpooled rows from row `first` on."""

    def gather(self) -> None:
        """Emit what gathers the kept accumulators, once all rows are emitted."""


class _PlainEmitter:
    """Emits any range of a convolution's unpooled rows for the plain kernels; weights and epilogue are packed once."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk, rows: int) -> None:
        element = packer.view(step.inputs[0]).form.element
        suffix = "f32" if element == 4 else "i8"
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
            self._operation = f"depthwise_{suffix}"
            weight = weight.reshape(channels, kernel_rows, kernel_columns).transpose(1, 2, 0)
            arguments |= {"channels": channels, "multiplier": channels // step.groups}
        else:
            self._operation = f"convolution_{suffix}"
            arguments |= {"run": walk.run, "groups": step.groups, "group_outputs": channels // step.groups}
        self._step = step
        self._packer = packer
        self._walk = walk
        weights = packer.constant(weight.astype(np.float32 if element == 4 else np.int8, copy=False))
        self._arguments = {**arguments, "weight": weights, **epilogue_arguments(step.epilogue)}
        self._watcher = Watcher(packer, step, rows, walk.columns)
        self._kept_pixel = whole_vectors(channels)
        self._channels = np.arange(channels)

    def rows(self, first: int, count: int, target: Target) -> None:
        kept_row = self._walk.columns * self._kept_pixel
        scratch = {"scratch": self._packer.scratch(self._step, "accumulators")} if is_depthwise(self._step) else {}
        self._packer.emit_watched(
            self._operation,
            self._watcher.by_row(first, count, (kept_row, self._kept_pixel)),
            **scratch,
            src=self._walk.origin + first * self._walk.row_step,
            row_step=self._walk.row_step,
            dst=target.address,
            dst_row=target.row,
            dst_pixel=target.pixel,
            rows=count,
            **self._arguments,
        )

    def gather(self) -> None:
        columns = self._walk.columns
        self._watcher.gather(0, columns * self._kept_pixel, self._kept_pixel, columns, self._channels, self._channels >= 0)


def _emitter(step: p.Convolution, packer: Packer, rows: int, columns: int) -> Emitter:
    walk, dtype = _walk(step, packer, columns), p.step_dtype(step, packer.program)
    if is_depthwise(step):
        if depthwise.suits(step, dtype):
            return depthwise.DepthwiseEmitter(step, packer, walk, rows)
    elif walk.tap_rows * walk.tap_columns == 1 and dense.suits(step, packer.program):
        return dense.DenseEmitter(step, packer, walk)
    elif packer.options.winograd and winograd.suits(step, packer.program):
        return winograd.WinogradEmitter(step, packer, walk, rows)
    elif suits(step, dtype):
        return TileEmitter(step, packer, walk, rows)
    return _PlainEmitter(step, packer, walk, rows)


def _walk(step: p.Convolution, packer: Packer, columns: int) -> Walk:
    """Return the steps of a convolution through its input, adjacent taps joined into one run."""
    view = packer.view(step.inputs[0])
    top, left, _, _ = step.padding
    _, tap_rows, tap_columns, run = step.weight.shape
    tap_row_step = step.dilations[0] * view.row
    if step.groups == 1 and step.dilations[1] == 1:  # taps of a row are adjacent: one long dot product
        run *= tap_columns
        tap_columns = 1
        if tap_row_step == run * view.form.element:  # and so are the rows: a dense layer over the whole value
            run *= tap_rows
            tap_rows = 1
    return Walk(
        origin=view.address + (-top * view.row - left * view.pixel),
        row_step=step.strides[0] * view.row,
        column_step=step.strides[1] * view.pixel,
        tap_row_step=tap_row_step,
        tap_column_step=step.dilations[1] * view.pixel,
        tap_rows=tap_rows,
        tap_columns=tap_columns,
        run=run,
        columns=columns,
    )


def pack_transposed(step: p.TransposedConvolution, packer: Packer) -> None:
    """Emit a transposed convolution."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    channels, kernel_rows, kernel_columns, per_group = step.weight.shape
    arguments: dict[str, Address | float] = {
        "src": source.address,
        "src_row": source.row,
        "src_pixel": source.pixel,
        "height": source.form.shape[0],
        "width": source.form.shape[1],
        "dst": output.address,
        "dst_row": output.row,
        "dst_pixel": output.pixel,
        "rows": output.form.shape[0],
        "columns": output.form.shape[1],
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
    watcher = Watcher(packer, step, *output.form.shape[:2])
    kept_pixel = whole_vectors(channels)
    kept_row = output.form.shape[1] * kept_pixel
    kept = watcher.by_row(0, output.form.shape[0], (kept_row, kept_pixel))
    if isinstance(step.epilogue, p.FloatEpilogue):
        weight = packer.constant(step.weight.astype(np.float32, copy=False))
        epilogue, _ = pack_copy(step, packer, Plain(channels))
        packer.emit_watched("transposed_convolution_f32", kept, weight=weight, epilogue=epilogue, **arguments)
        watcher.gather(0, kept_row, kept_pixel, output.form.shape[1], np.arange(channels), np.full(channels, True))
        return
    zero_point = packer.buffer(step.inputs[0]).zero_point
    # The kernel's taps read code less zero point; a tap that meets no pixel reads the zero point, whose share is this constant.
    share = zero_point * step.weight.astype(np.int64).sum(axis=(1, 2, 3))
    weight = packer.constant(step.weight.astype(np.int8, copy=False))
    packer.emit_watched(
        "transposed_convolution_i8",
        kept,
        weight=weight,
        epilogue=pack_copy(step, packer, Plain(channels, share))[0],
        input_zero_point=zero_point,
        **arguments,
    )
    watcher.gather(0, kept_row, kept_pixel, output.form.shape[1], np.arange(channels), np.full(channels, True))
