"""Packs float32 convolutions for Winograd's F(2x2, 3x3): when it pays, transformed weights, and rows a chunk of tiles at a time."""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa, tile_shapes, tile_weights
from edgebn.quick_dataclass import dataclass
from edgebn.session.epilogues import FloatBlocks, float_scalars, pack_copy
from edgebn.session.observing import AccumulatorObserver
from edgebn.session.packer import Constant, Packer
from edgebn.session.tiled import Target, TileEmitter, Walk

PLANES = 16  # of a transformed tile, 4 x 4
STEP = 2  # output rows and columns of a tile
ELEMENT = 4
# Planes of a chunk of tiles should stay in a core's second cache, beside the weights.
CHUNK_BYTES = 1 << 16
# Every chunk reads all weights. Where those are large, planes may be a part of them (ResNet-18: 512 channels on 7 x 7 in one chunk
# take 0.27 of the time of four chunks, 256 on 14 x 14 in one 0.54 of that of seven; the network 0.49).
WEIGHTS_OVER_PLANES = 2
# Transformed weights that stay in a core's second cache.
NEAR_BYTES = 1 << 20
# What one vector of channels of one tile costs to transform, in multiplications of one vector (measured).
INPUT_COST = 45
OUTPUT_COST = 60
# What must at least be saved, because chunks cost rows of the table and cache.
WORTH = 0.9
# G of the interpolation points 0, 1, -1 and infinity; see `kernels.winograd`.
WEIGHT_TRANSFORM = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def suits(step: p.Convolution, program: p.Program) -> bool:
    """Whether a convolution can go this way and is faster for it."""
    channels, kernel_rows, kernel_columns, run = step.weight.shape
    fits = p.step_dtype(step, program) == "float32" and "winograd_input_f32" in executor.operations()
    fits = fits and (kernel_rows, kernel_columns) == (3, 3) and step.groups == 1
    if not fits or step.strides != (1, 1) or step.dilations != (1, 1):
        return False
    rows, columns, _ = p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)
    if rows < STEP or columns < STEP or channels < isa.SELECTED.lanes:
        return False
    inputs, outputs = _vectors(run), _vectors(channels)
    tiles = -(-rows // STEP) * -(-columns // STEP)
    ours = tiles * (PLANES * run * outputs + INPUT_COST * inputs + OUTPUT_COST * outputs)
    return ours < WORTH * rows * columns * step.weight[0].size * outputs


def are_weights_near(step: p.Convolution) -> bool:
    """Whether the transformed weights are few enough for every core to read all of them, so that threads share rows, not planes."""
    return PLANES * ELEMENT * step.weight[..., 0, 0, :].size <= NEAR_BYTES


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


def _chunk(step: p.Convolution, rows: int, columns: int) -> _Chunk:
    channels, _, _, run = step.weight.shape
    tile_columns = -(-columns // STEP)
    input_step, output_step = (_vectors(count) * isa.SELECTED.vector_bytes for count in (run, channels))
    weights = PLANES * ELEMENT * run * channels
    wanted = max(CHUNK_BYTES, weights // WEIGHTS_OVER_PLANES) // (PLANES * (input_step + output_step) * tile_columns)
    return _Chunk(max(1, min(wanted, -(-rows // STEP))), tile_columns, input_step, output_step)


def scratch(step: p.Convolution, program: p.Program) -> int:
    """Return the bytes of scratch."""
    rows, columns, _ = p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)
    return _chunk(step, rows, columns).size


def transformed(weight: np.ndarray) -> np.ndarray:
    """Return G g G' of weights (O, 3, 3, I): float32 (16, O, I), computed in float64 and rounded once."""
    planes = np.einsum("ia,oabc,jb->ijoc", WEIGHT_TRANSFORM, weight.astype(np.float64), WEIGHT_TRANSFORM)
    return planes.reshape(PLANES, *planes.shape[2:]).astype(np.float32)


class WinogradEmitter:
    """Emits any range of a convolution's unpooled rows; a single row goes through the direct tiles."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk, rows: int) -> None:
        self._step = step
        self._packer = packer
        self._walk = walk
        self._view = packer.view(step.inputs[0])
        self._channels, _, _, self._run = step.weight.shape
        self._chunk = _chunk(step, rows, walk.columns)
        self._weights = self._pack_weights(step.weight)
        self._epilogue, self._scalars = pack_copy(step, packer, FloatBlocks(np.arange(self._channels), 1))
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
            "winograd_input_f32",
            src=self._walk.origin + row * self._walk.row_step,
            src_row=self._view.row,
            src_pixel=self._view.pixel,
            planes=planes,
            plane_step=chunk.input_plane,
            tile_step=chunk.input_step,
            blocks=_vectors(self._run),
            **tiles,
        )
        count = tile_rows * chunk.tile_columns
        for segment in self._weights:
            mr = tile_shapes.best_rows(isa.SELECTED, segment.nv, count, real=True)
            self._packer.emit_saving(
                "tile_f32",
                None,
                variant=tile_shapes.shapes(isa.SELECTED, real=True).index((mr, segment.nv)),
                src=planes,
                row_step=chunk.input_plane,
                column_step=chunk.input_step,
                tap_row_step=0,
                tap_column_step=0,
                tap_rows=1,
                tap_columns=1,
                depth=self._run,
                weight=segment.weight,
                weight_row_step=segment.plane_bytes,
                epilogue=segment.epilogue,
                dst=sums + segment.first_channel * ELEMENT,
                dst_row=chunk.output_plane,
                dst_pixel=chunk.output_step,
                rows=PLANES,
                columns=count,
                blocks=segment.blocks,
                last_channels=segment.width,  # of a scratch that has room for whole vectors
                **segment.scalars,
            )
        saved_pixel = self._direct.saved_pixel
        self._packer.emit_saving(
            "winograd_output_f32",
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
        segments = []
        first = 0
        width_of_all = _vectors(self._channels) * isa.SELECTED.lanes
        tiles_of_chunk = max(self._chunk.tile_rows * self._chunk.tile_columns, STEP)
        for nv, count in tile_shapes.channel_segments(isa.SELECTED, width_of_all, tiles_of_chunk, real=True):
            width = nv * isa.SELECTED.lanes
            parts = [tile_weights.pack_weights_f32(isa.SELECTED, plane[first : first + count, None], nv) for plane in planes]
            nothing = np.zeros(count, np.float32)
            epilogue = tile_weights.pack_epilogue_f32(isa.SELECTED, nothing, nothing + 1, nothing, nv)
            blocks = -(-count // width)
            segments.append(
                _Segment(
                    nv=nv,
                    width=width,
                    blocks=blocks,
                    first_channel=first,
                    plane_bytes=parts[0].nbytes,
                    weight=self._packer.constant(np.stack(parts)),
                    epilogue=self._packer.constant(epilogue),
                    scalars=float_scalars(p.FloatEpilogue(nothing, nothing + 1, nothing)),
                )
            )
            first += count
        return segments


@dataclass(frozen=True)
class _Segment:
    """Output channels that one run of tiles covers: transformed weights, and an epilogue that does nothing."""

    nv: int
    width: int
    blocks: int
    first_channel: int
    plane_bytes: int
    weight: Constant
    epilogue: Constant
    scalars: dict[str, int]
