"""Packs depthwise convolutions for the vector kernels: blocks of channels, and several pixels a vector where channels are few.

The kernels have one output channel for each input channel. Where there are more, every input channel is first repeated that often.
"""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.kernels import depthwise_shapes, executor, isa, tile_weights
from edgebn.quick_dataclass import dataclass, replace
from edgebn.session.epilogues import FloatBlocks, IntBlocks, pack_copy
from edgebn.session.layout import BufferLayout, padding_read
from edgebn.session.observing import AccumulatorObserver
from edgebn.session.packer import Address, Packer, View
from edgebn.session.tiled import Target, Walk, fits_dot, walk_through

# A float32 tile goes down the rows of all channels before the next: its input rows stay in the first-level cache if they are few,
# and the next strip reads some again (measured on 112 x 112 x 96: 8 rows take 0.7 of the time of all at once, 4 and 16 0.75).
NEAR_BYTES = 1 << 18
STRIP_ROWS = 8


def suits(step: p.Convolution, dtype: str) -> bool:
    """Whether the vector kernels can take a depthwise convolution."""
    return operation(dtype) in executor.operations() and fits_dot(step.weight)


def multiplier(step: p.Convolution) -> int:
    """Return the output channels for each input channel."""
    return step.weight.shape[0] // step.groups


def scratch(step: p.Convolution, program: p.Program) -> int:
    """Return the bytes of the input with repeated channels, padding included."""
    buffer = program.buffers[step.inputs[0]]
    layout = _repeated(step, buffer.shape, np.dtype(buffer.dtype).itemsize)
    return layout.size


def _repeated(step: p.Convolution, shape: p.Hwc, element: int) -> BufferLayout:
    repeated = shape[0], shape[1], shape[2] * multiplier(step)
    return BufferLayout(repeated, element, padding_read(step, shape), isa.SELECTED.vector_bytes)


@dataclass(frozen=True)
class Int8Kernel:
    """A depthwise kernel as the int8 kernels hold it.

    Attributes
    ----------
    weight : ndarray of int8, shape (channels, rows, columns), perhaps with places behind the last column
    spare : int
        The column that is taken again in those places, which hold what int8 cannot of its weights.
    is_whole : ndarray of bool, shape (channels,)
        Whether that is all there is of a channel's weights.
    """

    weight: np.ndarray
    spare: int
    is_whole: np.ndarray


def int8_kernel(step: p.Convolution) -> Int8Kernel:
    """Return how the int8 kernels hold a step's weights, for as many channels as they can."""
    weight = step.weight[..., 0]
    channels, rows, columns = weight.shape
    if weight.dtype == np.int8:
        return Int8Kernel(weight, columns - 1, np.ones(channels, bool))
    low, high = max(-128, isa.SELECTED.least_weight), 127
    inside = np.clip(weight, low, high)
    rest = weight - inside
    fits = (rest >= low).all(axis=(1, 2)) & (rest <= high).all(axis=(1, 2))
    places = -columns % depthwise_shapes.TAPS
    alone = [~rest[:, :, np.arange(columns) != column].any(axis=(1, 2)) & fits for column in range(columns)]
    spare = max(range(columns), key=lambda column: (int(alone[column].sum()), column))
    if places == 0:
        return Int8Kernel(inside.astype(np.int8), spare, ~rest.any(axis=(1, 2)))
    padded = np.zeros((channels, rows, columns + places), np.int8)
    padded[:, :, :columns] = inside
    padded[:, :, columns] = np.where(alone[spare][:, None], rest[:, :, spare], 0)
    return Int8Kernel(padded, spare, alone[spare])


def emitter(step: p.Convolution, packer: Packer, walk: Walk, rows: int) -> DepthwiseEmitter:
    """Return what emits the rows; where channels are to be repeated, emit that first."""
    times = multiplier(step)
    if times == 1:
        return DepthwiseEmitter(step, packer, walk, rows)
    source = packer.view(step.inputs[0])
    layout = _repeated(step, source.layout.shape, source.layout.element)
    top, left, bottom, right = layout.halo
    place = packer.scratch(step, "repeated")
    packer.emit(
        "repeat_f32" if layout.element == 4 else "repeat_u8",
        src=source.address + (-top * source.row - left * source.pixel),
        src_row=source.row,
        dst=place,
        dst_row=layout.pitch,
        rows=layout.shape[0] + top + bottom,
        count=(layout.shape[1] + left + right) * source.layout.shape[2],
        times=times,
    )
    alone = replace(step, groups=step.weight.shape[0])
    return DepthwiseEmitter(alone, packer, walk_through(step, View(place + layout.start_offset, layout), walk.columns), rows)


def operation(dtype: str) -> str:
    """Return the name of the depthwise kernel of a data type."""
    return "depthwise_tile_f32" if dtype == "float32" else "depthwise_tile_i8"


class DepthwiseEmitter:
    """Emits any range of a depthwise convolution's unpooled rows; weights and epilogue are packed once.

    `apart` says that the target's pixels do not adjoin: several are then never computed as one.
    """

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk, rows: int, *, apart: bool = False) -> None:
        self._step = step
        self._packer = packer
        self._walk = walk
        self._dtype = p.step_dtype(step, packer.program)
        self._real = self._dtype == "float32"
        self._element = 4 if self._real else 1
        self._width = isa.SELECTED.vector_bytes // self._element  # channels of a block
        channels = step.groups
        adjacent = walk.column_step == channels * self._element
        # Several pixels of few channels are one pixel of many.
        if apart:
            self._pixels_per_vector, self._pieces = 1, 1
        elif self._real:
            whole = self._width % channels == 0 and walk.columns >= self._width // channels
            self._pixels_per_vector, self._pieces = (self._width // channels if adjacent and whole else 1), 1
        else:
            self._pixels_per_vector, self._pieces = depthwise_shapes.pixels_per_vector(
                channels, self._width, walk.columns, adjacent=adjacent
            )
        self._int8_kernel = None if self._real else int8_kernel(step)
        self._is_mirrored = False  # a rolled kernel takes its last column twice: turned round, that is the first
        self._order = tile_weights.block_channels(channels * self._pixels_per_vector, self._width)
        self._constants = self._pack()
        self._observer = AccumulatorObserver(packer, step, rows, walk.columns)
        # A saved pixel is whole blocks, in the kernel's order; behind each row there is room for the piece that ends it.
        self._saved_pixel = 4 * self._order.size
        self._saved_row = (walk.columns // self._pixels_per_vector + 1) * self._saved_pixel

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` rows from row `first` on, in strips where that many do not stay in the nearer caches."""
        strip = count
        if self._real and count * self._walk.row_step > NEAR_BYTES:
            strip = STRIP_ROWS
        for start in range(0, count, strip):
            below = Target(target.address + start * target.row, target.row, target.pixel)
            self._strip(first + start, min(strip, count - start), below)

    def _strip(self, first: int, count: int, target: Target) -> None:
        walk, pixels_per_vector = self._walk, self._pixels_per_vector
        channels = self._step.groups * pixels_per_vector
        pieces = [(0, walk.columns // pixels_per_vector)]
        if walk.columns % pixels_per_vector:
            pieces.append((walk.columns - pixels_per_vector, 1))
        for start, columns in pieces:
            skipped = walk.columns // pixels_per_vector * self._saved_pixel if start else 0
            saved = self._observer.by_row(first, count, (self._saved_row, self._saved_pixel), skipped)
            self._packer.emit_saving(
                operation(self._dtype),
                saved,
                variant=self._variant(columns),
                src=walk.origin + (first * walk.row_step + start * walk.column_step + self._mirror_offset()),
                row_step=walk.row_step,
                column_step=walk.column_step * pixels_per_vector,
                tap_row_step=walk.tap_row_step,
                tap_column_step=-walk.tap_column_step if self._is_mirrored else walk.tap_column_step,
                tap_rows=walk.tap_rows,
                tap_columns=walk.tap_columns,
                dst=target.address + start * target.pixel,
                dst_row=target.row,
                dst_pixel=target.pixel * pixels_per_vector,
                rows=count,
                columns=columns,
                blocks=len(self._order),
                block_step=isa.SELECTED.vector_bytes,
                last_block=max(channels - self._width, 0) * self._element,
                valid=min(channels, self._width),
                **self._constants,
            )

    def reduce_statistics(self) -> None:
        """Emit what reduces the saved accumulators, once all rows are emitted."""
        if not self._observer.is_observed:
            return
        pixels_per_vector, channels = self._pixels_per_vector, self._step.groups
        order = self._order if self._real else self._order[:, tile_weights.interleaved(isa.SELECTED)]
        flat = order.reshape(-1)
        is_first = np.zeros(len(flat), bool)
        is_first[np.unique(flat, return_index=True)[1]] = True  # the last block may repeat channels of the one before it
        names = np.where(flat >= 0, flat % channels, -1)
        whole = self._walk.columns // pixels_per_vector
        self._observer.reduce_statistics(0, self._saved_row, self._saved_pixel, whole, names, is_first)
        left = self._walk.columns % pixels_per_vector
        if left:
            self._observer.reduce_statistics(
                whole * self._saved_pixel, self._saved_row, 0, 1, names, is_first & (flat >= channels * (pixels_per_vector - left))
            )

    def _variant(self, columns: int) -> int:
        walk = self._walk
        if self._real:
            return depthwise_shapes.best_float_tile(isa.SELECTED, columns, walk.tap_columns, self._stride())
        return depthwise_shapes.INT8_VARIANTS.index((self._int8_kind(), self._pieces))

    def _int8_kind(self) -> depthwise_shapes.Int8Kind:
        """Return the kind of the int8 functions that takes the rows."""
        walk, kernel = self._walk, self._int8_kernel
        taps = walk.tap_rows
        if kernel is None or walk.tap_columns != taps:
            return depthwise_shapes.ANY
        if self._pixels_per_vector == 1 and self._step.weight.dtype == np.int8:
            kind = depthwise_shapes.int8_kind(taps, self._stride(), taps - 1, 1, along=True)
            if kind != depthwise_shapes.ANY:
                return kind
        again = kernel.spare or taps - 1  # the first column is the last of a mirrored kernel
        stride = walk.row_step // walk.tap_row_step
        stride = stride if walk.row_step == stride * walk.tap_row_step else 0
        return depthwise_shapes.int8_kind(taps, stride, again, self._pieces, along=False)

    def _mirror_offset(self) -> int:
        return (self._walk.tap_columns - 1) * self._walk.tap_column_step if self._is_mirrored else 0

    def _stride(self) -> int:
        """Return the stride along a row in taps, 0 where it is not whole or a kernel 3 wide is not 3 x 3 moving as far down."""
        walk = self._walk
        step = walk.column_step * self._pixels_per_vector
        stride = step // walk.tap_column_step
        if step != stride * walk.tap_column_step:
            return 0
        square = walk.tap_rows == 3 and walk.row_step == stride * walk.tap_row_step
        return stride if square or walk.tap_columns != 3 else 0

    def _pack(self) -> dict[str, Address | int]:
        channels, rows, columns, _ = self._step.weight.shape
        weight = self._step.weight.reshape(channels, rows, columns)
        order = np.where(self._order >= 0, self._order % channels, -1)
        if self._real:
            weights = tile_weights.pack_depthwise_f32(weight.reshape(channels, -1), order)
        else:
            order = order[:, tile_weights.interleaved(isa.SELECTED)]
            assert self._int8_kernel is not None
            narrow = self._int8_kernel.weight
            self._is_mirrored = self._int8_kernel.spare == 0 and self._int8_kind() != depthwise_shapes.ANY
            if self._is_mirrored:
                narrow = np.concatenate([narrow[:, :, columns - 1 :: -1], narrow[:, :, columns:]], axis=2)
            if self._int8_kind().along:
                narrow = narrow.transpose(0, 2, 1)  # a dot product takes the taps of a column
            weights = tile_weights.pack_depthwise_i8(isa.SELECTED, narrow, order)
        # Places without a channel repeat channel 0; what they compute is not stored.
        flat = np.maximum(order, 0).reshape(-1)
        layout = FloatBlocks(flat, 1) if self._real else IntBlocks(flat, weight[flat], 4)
        epilogue, scalars = pack_copy(self._step, self._packer, layout)
        gathering = {} if self._int8_kernel is None else {"piece_step": self._walk.column_step, "spare": self._int8_kernel.spare}
        return {"weight": self._packer.constant(weights), "epilogue": epilogue, **scalars, **gathering}
