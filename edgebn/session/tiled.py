"""Packs convolutions for the register tiles: which tile for which rows and channels, and weights in the tiles' order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa, tile_shapes, tile_weights
from edgebn.quick_dataclass import dataclass
from edgebn.session.epilogues import FloatBlocks, IntBlocks, pack_copy
from edgebn.session.observing import WIDEST_TILE, AccumulatorObserver, whole_vectors
from edgebn.session.packer import Address, Constant, Packer, View

INT8_MIN, INT8_MAX = -128, 127
STEP_BYTES = 4  # of a pixel's input in one step of depth


@dataclass(frozen=True)
class Target:
    """Where rows of output go: an address, and the bytes to the next row and pixel."""

    address: Address
    row: int
    pixel: int


@dataclass(frozen=True)
class Walk:
    """How a convolution moves through memory, in bytes; the same for every kernel.

    Attributes
    ----------
    origin : Address
        Of the first tap of the first output pixel.
    row_step, column_step : int
        From one output row or column to the next.
    tap_row_step, tap_column_step : int
        From one kernel row or column to the next.
    tap_rows, tap_columns, run : int
        Of the kernel, after adjacent taps were joined; `run` counts numbers.
    columns : int
        Of the output.
    """

    origin: Address
    row_step: int
    column_step: int
    tap_row_step: int
    tap_column_step: int
    tap_rows: int
    tap_columns: int
    run: int
    columns: int


def walk_through(step: p.Convolution, view: View, columns: int) -> Walk:
    """Return the steps of a convolution through its input, adjacent taps joined into one run."""
    top, left, _, _ = step.padding
    _, tap_rows, tap_columns, run = step.weight.shape
    tap_row_step = step.dilations[0] * view.row
    if step.groups == 1 and step.dilations[1] == 1:  # taps of a row are adjacent: one long dot product
        run *= tap_columns
        tap_columns = 1
        if tap_row_step == run * view.layout.element:  # and so are the rows: a dense layer over the whole value
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


def suits(step: p.Convolution, dtype: str) -> bool:
    """Whether the tiles can take a convolution that is not depthwise."""
    return tile_operation(dtype) in executor.operations() and fits_dot(step.weight)


def is_wide(step: p.Convolution | p.TransposedConvolution) -> bool:
    """Whether a step's weights need more than int8."""
    return step.weight.dtype == np.int16


def fits_dot(weight: np.ndarray) -> bool:
    """Whether the vector kernels' products can take the weights: all but some int8 weights of other quantisers."""
    return weight.dtype != np.int8 or is_above_least(weight)


def is_above_least(weight: np.ndarray) -> bool:
    """Whether no weight is below what the vector kernels' products can take."""
    return int(weight.min(initial=0)) >= max(INT8_MIN, isa.SELECTED.least_weight)


def tile_operation(dtype: str) -> str:
    """Return the name of the tile kernel of a data type."""
    return "tile_f32" if dtype == "float32" else "tile_i8"


@dataclass(frozen=True)
class _Segment:
    """Output channels that one run of tiles covers, packed."""

    nv: int
    blocks: int
    last_channels: int
    first_channel: int
    weight: Constant
    epilogue: Constant
    scalars: dict[str, int]
    extra: dict[str, Address | float]  # of int8 tiles: where further steps of depth are, and how many


@dataclass(frozen=True)
class _SavedPixels:
    """Where a piece's pixels are among all of the value: the first, and how many to the next row (0: one row is all)."""

    first: int
    row: int


class TileEmitter:
    """Emits any range of a convolution's unpooled rows as tiles; each choice of tile packs its weights once."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk, rows: int) -> None:
        self._step = step
        self._packer = packer
        self._walk = walk
        self._dtype = p.step_dtype(step, packer.program)
        self._real = self._dtype == "float32"
        self._element = 4 if self._real else 1
        lanes, channels = isa.SELECTED.lanes, step.weight.shape[0]
        self._outputs = channels // step.groups  # of one group
        # Groups narrower than a vector share one: as many products as one by one, but longer runs and fewer tiles.
        self._together = max(1, lanes // self._outputs)
        self._observer = AccumulatorObserver(packer, step, rows, walk.columns)
        # Bytes of a saved pixel: nothing between pixels where one vector holds all channels, else room for a tile.
        is_dense = channels <= lanes and step.groups == 1
        self.saved_pixel = 4 * channels if is_dense else whole_vectors(channels) + 4 * lanes * WIDEST_TILE
        self._packed: dict[tuple[int, int, int, bool], list[_Segment]] = {}

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` rows from row `first` on."""
        for group in range(0, self._step.groups, self._together):
            self._group_rows(group, first, count, target)

    def reduce_statistics(self) -> None:
        """Emit what reduces the saved accumulators, once all rows are emitted."""
        row = self._walk.columns * self.saved_pixel
        channels = np.arange(self._step.weight.shape[0])
        self._observer.reduce_statistics(0, row, self.saved_pixel, self._walk.columns, channels, channels >= 0)

    def _group_rows(self, group: int, first: int, count: int, target: Target) -> None:
        walk = self._walk
        source = walk.origin + (first * walk.row_step + group * walk.run * self._element)
        place = target.address + group * self._outputs * self._element
        rows, columns = count, walk.columns
        saved = first * walk.columns
        row_step, column_step, dst_row, dst_pixel = walk.row_step, walk.column_step, target.row, target.pixel
        if columns == 1 or (row_step == columns * column_step and dst_row == columns * dst_pixel):
            if columns == 1:  # one column of rows is one row of columns
                column_step, dst_pixel = row_step, dst_row
            rows, columns = 1, rows * columns
            row_step = dst_row = 0
        pixels_per_vector = self._count_pixels_per_vector(rows, columns, column_step, dst_pixel)
        pieces = [(0, columns // pixels_per_vector)]
        if columns % pixels_per_vector:  # the last pixels again, in one piece that ends where the row ends
            pieces.append((columns - pixels_per_vector, 1))
        for start, wide_columns in pieces:
            geometry: dict[str, Address | float] = {
                "src": source + start * column_step,
                "row_step": row_step,
                "column_step": column_step * pixels_per_vector,
                "tap_row_step": walk.tap_row_step,
                "tap_column_step": walk.tap_column_step,
                "tap_rows": walk.tap_rows,
                "tap_columns": walk.tap_columns,
                "dst_row": dst_row,
                "dst_pixel": dst_pixel * pixels_per_vector,
                "rows": rows,
                "columns": wide_columns,
            }
            at = _SavedPixels(saved + start, columns if rows > 1 else 0)
            self._emit(group, pixels_per_vector, column_step, place + start * dst_pixel, geometry, at)

    def _emit(
        self, group: int, pixels_per_vector: int, step: int, place: Address, geometry: dict[str, Any], saved: _SavedPixels
    ) -> None:
        rows, columns = geometry["rows"], geometry["columns"]
        known = tile_shapes.shapes(isa.SELECTED, real=self._real)
        run = self._groups_from(group) * self._walk.run + (pixels_per_vector - 1) * (step // self._element)
        for segment in self._segments(group, pixels_per_vector, run, single=columns == 1):
            mr = tile_shapes.best_rows(isa.SELECTED, segment.nv, columns, real=self._real, rows=rows)
            self._packer.emit_saving(
                tile_operation(self._dtype),
                self._observing(saved, group * self._outputs + segment.first_channel, pixels_per_vector, mr, (rows, columns)),
                variant=known.index((mr, segment.nv)),
                depth=run if self._real else -(-run // 4),
                weight=segment.weight,
                weight_row_step=0,
                epilogue=segment.epilogue,
                dst=place + segment.first_channel * self._element,
                blocks=segment.blocks,
                last_channels=segment.last_channels,
                **geometry,
                **segment.scalars,
                **segment.extra,
            )

    def _observing(
        self, saved: _SavedPixels, channel: int, pixels_per_vector: int, mr: int, shape: tuple[int, int]
    ) -> dict[str, Address] | None:
        """Return the arguments that make tiles of `mr` wide pixels keep their accumulators from `channel` on, if anybody asks."""
        if not self._observer.is_observed:
            return None
        rows, columns = shape
        runs, length = (1, rows * columns) if tile_shapes.goes_across_rows(isa.SELECTED, real=self._real) else (rows, columns)
        firsts = [run * length + min(x, length - mr) for run in range(runs) for x in range(0, length, mr)]

        def pixel(index: int) -> int:
            row, column = divmod(index, columns)
            return saved.first + row * saved.row + column * pixels_per_vector

        tiles = [(pixel(first), pixel(first + mr - 1) + pixels_per_vector) for first in firsts]
        start = saved.first * self.saved_pixel + 4 * channel
        steps = saved.row * self.saved_pixel, pixels_per_vector * self.saved_pixel
        return self._observer.by_tile(tiles, start, steps, self.saved_pixel)

    def _count_pixels_per_vector(self, rows: int, columns: int, column_step: int, dst_pixel: int) -> int:
        """Return how many adjacent pixels share a vector: several where one pixel has few channels.

        The weights of pixel i are shifted by i steps along the run, so that one window covers all. Where accumulators are saved and
        vectors are not full, rows are made in one piece: what the last pixels' vector keeps beyond its row would stay, in what
        the piece before kept of the next row.
        """
        fits = self._step.groups == 1 and self._walk.tap_columns == 1 and dst_pixel == self._outputs * self._element
        fits = fits and column_step <= self._walk.run * self._element  # else the window would reach over what no pixel reads
        most = max(1, min(isa.SELECTED.lanes // self._outputs, columns)) if fits else 1
        if rows == 1 or not self._observer.is_observed or most * self._outputs == isa.SELECTED.lanes:
            return most
        return max(count for count in range(1, most + 1) if columns % count == 0)

    def _segments(self, group: int, pixels_per_vector: int, run: int, *, single: bool) -> list[_Segment]:
        key = group, pixels_per_vector, run, single
        if key not in self._packed:
            self._packed[key] = self._pack(group, pixels_per_vector, run, columns=1 if single else 2)
        return self._packed[key]

    def _channel_segments(self, weight: np.ndarray, columns: int) -> Iterator[tuple[int, int]]:
        """Yield (vectors of a block, channels); of int16 weights, blocks that need extra steps of depth stand alone."""
        first = 0
        for nv, count in tile_shapes.channel_segments(isa.SELECTED, len(weight), columns, real=self._real):
            width = nv * isa.SELECTED.lanes
            begin, end = first, first + count
            for start in range(first, end, width) if weight.dtype == np.int16 else ():
                block = weight[start : min(start + width, end)]
                if is_above_least(block) and int(block.max(initial=0)) <= INT8_MAX:
                    continue
                if start > begin:
                    yield nv, start - begin
                begin = start + len(block)
                yield nv, len(block)
            if end > begin:
                yield nv, end - begin
            first = end

    def _pack_weights(self, weight: np.ndarray, nv: int) -> tuple[Constant, dict[str, Address | float]]:
        """Pack weights (O, taps, run); return them and the arguments of extra steps, which int16 weights may need."""
        if self._real:
            return self._packer.constant(tile_weights.pack_weights_f32(isa.SELECTED, weight, nv)), {}
        if weight.dtype == np.int8:
            return self._packer.constant(tile_weights.pack_weights_i8(isa.SELECTED, weight, nv)), {"extra": 0, "extras": 0}
        packed, steps = tile_weights.pack_wide_weights_i8(isa.SELECTED, weight, nv)
        rows, columns = np.divmod(steps[:, 0], self._walk.tap_columns)
        places = rows * self._walk.tap_row_step + columns * self._walk.tap_column_step + steps[:, 1] * 4
        extra = self._packer.constant(places.astype(np.int64)) if len(places) else 0
        return self._packer.constant(packed), {"extra": extra, "extras": len(places)}

    def _groups_from(self, group: int) -> int:
        """Return how many groups the tiles take that begin with one."""
        return min(self._together, self._step.groups - group)

    def _pack(self, group: int, pixels_per_vector: int, run: int, columns: int) -> list[_Segment]:
        outputs, taps = self._outputs, self._walk.tap_rows * self._walk.tap_columns
        groups = self._groups_from(group)
        chosen = slice(group * outputs, (group + groups) * outputs)
        weight = self._step.weight[chosen].reshape(groups * outputs, taps, self._walk.run)
        # What shares a vector, pixels of one group or groups of one pixel, reads its own part of the run: elsewhere weights are 0.
        count = max(pixels_per_vector, groups)
        step = (run - self._walk.run) // max(count - 1, 1)
        wide = np.zeros((count * outputs, taps, run), weight.dtype)
        for i in range(count):
            own = slice(i * outputs, (i + 1) * outputs)
            wide[own, :, i * step : i * step + self._walk.run] = weight[own] if groups > 1 else weight
        channels = np.tile(np.arange(chosen.start, chosen.stop), pixels_per_vector)
        segments = []
        first = 0
        for nv, count in self._channel_segments(wide, columns):
            width = nv * isa.SELECTED.lanes
            blocks = -(-count // width)
            part = wide[first : first + count]
            names = channels[first : first + count]
            layout = FloatBlocks(names, nv) if self._real else IntBlocks(names, part, nv)
            epilogue, scalars = pack_copy(self._step, self._packer, layout)
            packed, extra = self._pack_weights(part, nv)
            segments.append(_Segment(nv, blocks, count - (blocks - 1) * width, first, packed, epilogue, scalars, extra))
            first += count
        return segments
