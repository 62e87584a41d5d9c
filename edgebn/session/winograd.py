"""Packs convolutions for Winograd's F(2x2, 3x3): when it pays, transformed weights, and rows a chunk of tiles at a time.

Of codes everything is an integer, and the bytes are those of the direct tiles. The last transform gives four times the direct sum
of products: where that could leave 32 bits, layers go the direct way.
"""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa, tile_shapes, tile_weights
from edgebn.quick_dataclass import dataclass
from edgebn.session.epilogues import FloatBlocks, IntBlocks, Packed, pack_copy
from edgebn.session.observing import AccumulatorObserver
from edgebn.session.packer import Address, Constant, Packer
from edgebn.session.tiled import STEP_BYTES, Target, TileEmitter, Walk

PLANES = 16  # of a transformed tile, 4 x 4
STEP = 2  # output rows and columns of a tile
SUM_BYTES = 4  # float32 or int32
# Planes of a chunk of tiles should stay in a core's second cache, beside the weights.
CHUNK_BYTES = 1 << 16
# Transformed weights that stay in a core's second cache.
NEAR_BYTES = 1 << 20
# G of the interpolation points 0, 1, -1 and infinity; see `kernels.winograd`.
WEIGHT_TRANSFORM = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
# Weights of integers are transformed by 2 G on either side, so that sums are so many times as large; a transformed weight is so
# many times as large as a weight at most; and the largest stored code.
DOUBLED_TWICE = 4
TRANSFORMED_OVER_WEIGHT = 9
LARGEST_CODE = 255


@dataclass(frozen=True)
class _Numbers:
    """How numbers of one type go this way.

    Attributes
    ----------
    suffix : str
        Of the transforms' names.
    tile : str
        What multiplies the planes.
    element : int
        Bytes of a transformed input or weight.
    weights_over_planes : int
        Every chunk reads all weights. Where those are large, planes may be so large a part of them (ResNet-18 in float32: 512
        channels on 7 x 7 in one chunk take 0.27 of the time of four chunks, 256 on 14 x 14 in one 0.54 of that of seven; the
        network 0.49. Of codes 256 channels on 14 x 14 take 0.9 of the time of two chunks).
    product_cost : float
        What a multiplication of a vector of channels by one input costs, in those of the direct tiles (measured, as all costs).
    input_cost, output_cost : float
        What one vector of channels of one tile costs to transform, likewise.
    worth : float
        What must at least be saved, because chunks cost rows of the table and cache.
    """

    suffix: str
    tile: str
    element: int
    weights_over_planes: int
    product_cost: float
    input_cost: float
    output_cost: float
    worth: float


NUMBERS = {
    "float32": _Numbers("f32", "tile_f32", 4, 2, 1, 45, 60, 0.9),
    "int8": _Numbers("i8", "tile_i16", 2, 1, 1.2, 55, 120, 0.85),
}


def suits(step: p.Convolution, program: p.Program) -> bool:
    """Whether a convolution can go this way and is faster for it."""
    dtype = p.step_dtype(step, program)
    numbers = NUMBERS[dtype]
    channels, kernel_rows, kernel_columns, run = step.weight.shape
    fits = f"winograd_input_{numbers.suffix}" in executor.operations() and step.groups == 1
    fits = fits and (kernel_rows, kernel_columns) == (3, 3) and step.strides == step.dilations == (1, 1)
    rows, columns, _ = p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)
    if not fits or rows < STEP or columns < STEP or channels < isa.SELECTED.lanes:
        return False
    inputs, outputs = _vectors(run), _vectors(channels)
    tiles = -(-rows // STEP) * -(-columns // STEP)
    ours = PLANES * numbers.product_cost * run * outputs + numbers.input_cost * inputs + numbers.output_cost * outputs
    saves = tiles * ours < numbers.worth * rows * columns * step.weight[0].size * outputs
    return saves and (dtype == "float32" or are_sums_exact(step.weight))


def are_sums_exact(weight: np.ndarray) -> bool:
    """Whether four times any sum of products of int8 or int16 weights by codes fits 32 bits, and transformed weights 16."""
    largest = 128 if weight.dtype == np.int8 else int(np.abs(weight.astype(np.int64)).max(initial=0))
    if largest * TRANSFORMED_OVER_WEIGHT >= 1 << 15:
        return False
    room = ((1 << 31) - 1) // (DOUBLED_TWICE * LARGEST_CODE)
    # Few layers have so many inputs that their weights must be looked at.
    return largest * weight[0].size <= room or int(np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)).max()) <= room


def are_weights_near(step: p.Convolution, program: p.Program) -> bool:
    """Whether the transformed weights are few enough for every core to read all of them, so that threads share rows, not planes."""
    element = NUMBERS[p.step_dtype(step, program)].element
    return PLANES * element * step.weight[..., 0, 0, :].size <= NEAR_BYTES


def _vectors(channels: int) -> int:
    return -(-channels // isa.SELECTED.lanes)


@dataclass(frozen=True)
class _Chunk:
    """How the planes of a chunk of tiles stand in scratch.

    Attributes
    ----------
    tile_rows, tile_columns : int
    input_step, output_step : int
        Bytes of one tile in one plane: channels in whole vectors.
    input_plane, output_plane : int
        Bytes from plane to plane; not a multiple of 4096, where planes would fight for the same lines of the cache.
    """

    tile_rows: int
    tile_columns: int
    input_step: int
    output_step: int

    @property
    def tiles(self) -> int:
        return self.tile_rows * self.tile_columns

    @property
    def input_plane(self) -> int:
        return self.tiles * self.input_step + isa.SELECTED.vector_bytes

    @property
    def output_plane(self) -> int:
        return self.tiles * self.output_step + isa.SELECTED.vector_bytes

    @property
    def size(self) -> int:
        """Bytes of both kinds of planes."""
        return PLANES * (self.input_plane + self.output_plane)


def _chunk(step: p.Convolution, numbers: _Numbers, rows: int, columns: int) -> _Chunk:
    channels, _, _, run = step.weight.shape
    tile_columns = -(-columns // STEP)
    vector = isa.SELECTED.vector_bytes
    input_step, output_step = (-(-size // vector) * vector for size in (run * numbers.element, channels * SUM_BYTES))
    weights = PLANES * numbers.element * run * channels
    wanted = max(CHUNK_BYTES, weights // numbers.weights_over_planes) // (PLANES * (input_step + output_step) * tile_columns)
    return _Chunk(max(1, min(wanted, -(-rows // STEP))), tile_columns, input_step, output_step)


def scratch(step: p.Convolution, program: p.Program) -> int:
    """Return the bytes of scratch."""
    rows, columns, _ = p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)
    return _chunk(step, NUMBERS[p.step_dtype(step, program)], rows, columns).size


def transformed(weight: np.ndarray) -> np.ndarray:
    """Return G g G' of weights (O, 3, 3, I) as (16, O, I): float32, computed in float64 and rounded once; of integers 4 G g G'."""
    outputs, side, _, inputs = weight.shape
    rows = WEIGHT_TRANSFORM @ weight.astype(np.float64).reshape(outputs, side, -1)
    planes = (WEIGHT_TRANSFORM @ rows.reshape(outputs, -1, side, inputs)).reshape(outputs, PLANES, inputs).transpose(1, 0, 2)
    return planes.astype(np.float32) if weight.dtype.kind == "f" else (DOUBLED_TWICE * planes).astype(np.int16)


class WinogradEmitter:
    """Emits any range of a convolution's unpooled rows; a single row goes through the direct tiles."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk, rows: int) -> None:
        self._step = step
        self._packer = packer
        self._walk = walk
        self._view = packer.view(step.inputs[0])
        self._channels, _, _, self._run = step.weight.shape
        self._numbers = NUMBERS[p.step_dtype(step, packer.program)]
        self._chunk = _chunk(step, self._numbers, rows, walk.columns)
        self._weights = self._pack_weights(step.weight)
        channels = np.arange(self._channels)
        layout = FloatBlocks(channels, 1) if self._numbers.suffix == "f32" else IntBlocks(channels, step.weight, 1)
        self._epilogue, self._scalars = pack_copy(step, packer, layout)
        self._observer = AccumulatorObserver(packer, step, rows, walk.columns)
        self._direct = TileEmitter(step, packer, walk, rows)

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` rows from row `first` on."""
        if count < STEP:
            self._direct.rows(first, count, target)
            return
        tile_rows = -(-count // STEP)
        for begin in range(0, tile_rows, self._chunk.tile_rows):
            taken = min(self._chunk.tile_rows, tile_rows - begin)
            row = min(STEP * begin, count - STEP)  # a last chunk of one row of tiles moves up like any last tile
            self._emit(first + row, taken, count - STEP - row, Target(target.address + row * target.row, target.row, target.pixel))

    def reduce_statistics(self) -> None:
        """Emit what reduces the saved accumulators, once all rows are emitted."""
        self._direct.reduce_statistics()

    def _emit(self, row: int, tile_rows: int, last_y: int, target: Target) -> None:
        chunk = self._chunk
        planes = self._packer.scratch(self._step, "planes")
        sums = planes + PLANES * chunk.input_plane
        tiles = {
            "tile_rows": tile_rows,
            "tile_columns": chunk.tile_columns,
            "last_y": last_y,
            "last_x": self._walk.columns - STEP,
        }
        self._packer.emit(
            f"winograd_input_{self._numbers.suffix}",
            src=self._walk.origin + row * self._walk.row_step,
            src_row=self._view.row,
            src_pixel=self._view.pixel,
            planes=planes,
            plane_step=chunk.input_plane,
            tile_step=chunk.input_step,
            blocks=chunk.input_step // isa.SELECTED.vector_bytes,
            **tiles,
        )
        count = tile_rows * chunk.tile_columns
        for segment in self._weights:
            mr = tile_shapes.best_rows(isa.SELECTED, segment.nv, count, real=True)
            self._packer.emit_saving(
                self._numbers.tile,
                None,
                variant=tile_shapes.shapes(isa.SELECTED, real=True).index((mr, segment.nv)),
                src=planes,
                row_step=chunk.input_plane,
                column_step=chunk.input_step,
                tap_row_step=0,
                tap_column_step=0,
                tap_rows=1,
                tap_columns=1,
                depth=-(-self._run * self._numbers.element // STEP_BYTES),
                weight=segment.weight,
                weight_row_step=segment.plane_bytes,
                dst=sums + segment.first_channel * SUM_BYTES,
                dst_row=chunk.output_plane,
                dst_pixel=chunk.output_step,
                rows=PLANES,
                columns=count,
                blocks=segment.blocks,
                last_channels=segment.width,  # of a scratch that has room for whole vectors
                **segment.idle,
            )
        saved_pixel = self._direct.saved_pixel
        self._packer.emit_saving(
            f"winograd_output_{self._numbers.suffix}",
            self._observer.by_row(row, last_y + STEP, (self._walk.columns * saved_pixel, saved_pixel)),
            planes=sums,
            plane_step=chunk.output_plane,
            tile_step=chunk.output_step,
            blocks=_vectors(self._channels),
            dst=target.address,
            dst_row=target.row,
            dst_pixel=target.pixel,
            epilogue=self._epilogue,
            valid=self._channels - (_vectors(self._channels) - 1) * isa.SELECTED.lanes,
            **tiles,
            **self._scalars,
        )

    def _pack_weights(self, weight: np.ndarray) -> list[_Segment]:
        planes = transformed(weight)
        pack = tile_weights.pack_weights_f32 if self._numbers.suffix == "f32" else tile_weights.pack_weights_i16
        segments = []
        first = 0
        width_of_all = _vectors(self._channels) * isa.SELECTED.lanes
        tiles_of_chunk = max(self._chunk.tile_rows * self._chunk.tile_columns, STEP)
        for nv, count in tile_shapes.channel_segments(isa.SELECTED, width_of_all, tiles_of_chunk, real=True):
            width = nv * isa.SELECTED.lanes
            parts = [pack(isa.SELECTED, plane[first : first + count, None], nv) for plane in planes]
            epilogue, scalars = self._idle_epilogue(count, nv)
            blocks = -(-count // width)
            segments.append(
                _Segment(
                    nv=nv,
                    width=width,
                    blocks=blocks,
                    first_channel=first,
                    plane_bytes=parts[0].nbytes,
                    weight=self._packer.constant(np.stack(parts)),
                    idle={"epilogue": self._packer.constant(epilogue), **scalars},
                )
            )
            first += count
        return segments

    def _idle_epilogue(self, count: int, nv: int) -> Packed:
        """Return an epilogue that does nothing to sums of planes: of integers, what these begin from."""
        if self._numbers.suffix != "f32":
            return np.zeros(nv * isa.SELECTED.lanes, np.int32), {}
        nothing = np.zeros(count, np.float32)
        return FloatBlocks(np.arange(count), nv).pack(p.FloatEpilogue(nothing, nothing + 1, nothing))


@dataclass(frozen=True)
class _Segment:
    """Output channels that one run of tiles covers: transformed weights, and the arguments of an epilogue that does nothing."""

    nv: int
    width: int
    blocks: int
    first_channel: int
    plane_bytes: int
    weight: Constant
    idle: dict[str, Address]
