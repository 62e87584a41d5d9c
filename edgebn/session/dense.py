"""Packs dense layers that have kernels of their own: float32 behind a ReLU, and int8 where tiles read weights that were widened."""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.kernels import isa, tile_shapes, tile_weights
from edgebn.session.epilogues import FloatBlocks, IntBlocks, pack_copy
from edgebn.session.observing import WIDEST_TILE, AccumulatorObserver, whole_vectors
from edgebn.session.packer import Packer
from edgebn.session.tiled import Target, Walk

REAL, CODES = "dense_f32", "dense_i8"


def suits(step: p.Convolution, program: p.Program) -> bool:
    """Whether a kernel of this module takes a dense layer of one sample."""
    dtype = p.step_dtype(step, program)
    if dtype == "float32":
        return _is_often_zero(program, step.inputs[0])
    return dtype == "int8" and step.weight.dtype == np.int8 and step.weight[0].size >= tile_shapes.DENSE_INPUTS


def _is_often_zero(program: p.Program, name: str) -> bool:
    """Whether a value is what a clip at zero left, which is zero about half of the time."""
    maker = next((step for step in program.steps if step.output == name), None)
    if isinstance(maker, p.Reshape):
        return _is_often_zero(program, maker.inputs[0])
    if isinstance(maker, p.Convolution | p.Affine):
        return isinstance(maker.epilogue, p.FloatEpilogue) and maker.epilogue.post[0] == 0 and getattr(maker, "pool", None) is None
    if isinstance(maker, p.Add):
        return maker.post[0] == 0
    return isinstance(maker, p.Elementwise) and maker.function == "clip" and maker.low == 0


def scratch(step: p.Convolution) -> int:
    """Return the bytes of scratch: an int32 an input, or two halves of each of int8's."""
    depth = step.weight[0].size
    return 2 * tile_shapes.padded_dense_depth(depth) if step.weight.dtype == np.int8 else 4 * depth


class DenseEmitter:
    """Emits the only row of a dense layer."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk) -> None:
        self._step = step
        self._packer = packer
        self._walk = walk
        self._real = p.step_dtype(step, packer.program) == "float32"
        self._observer = AccumulatorObserver(packer, step, 1, 1)
        self._saved_pixel = whole_vectors(step.weight.shape[0]) + 4 * isa.SELECTED.lanes * WIDEST_TILE

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit row 0, which is all there is."""
        assert (first, count) == (0, 1)
        outputs = self._step.weight.shape[0]
        weight = self._step.weight.reshape(outputs, self._walk.run)
        element = 4 if self._real else 1
        widths = (tile_shapes.dense_widths if self._real else tile_shapes.int8_dense_widths)(isa.SELECTED)
        begin = 0
        for nv, taken in tile_shapes.channel_segments(isa.SELECTED, outputs, columns=1, real=self._real):
            chosen = np.arange(begin, begin + taken)
            width = nv * isa.SELECTED.lanes
            blocks = -(-taken // width)
            layout = FloatBlocks(chosen, nv) if self._real else IntBlocks(chosen, weight[chosen], nv)
            epilogue, scalars = pack_copy(self._step, self._packer, layout)
            self._packer.emit_saving(
                REAL if self._real else CODES,
                self._observer.by_row(0, 1, (self._saved_pixel, self._saved_pixel), 4 * begin),
                variant=widths.index(nv),
                src=self._walk.origin,
                depth=self._walk.run,
                weight=self._packer.constant(self._packed(weight[chosen], nv)),
                epilogue=epilogue,
                dst=target.address + begin * element,
                blocks=blocks,
                last_channels=taken - (blocks - 1) * width,
                **{"places" if self._real else "halves": self._packer.scratch(self._step, "places")},
                **scalars,
            )
            begin += taken

    def _packed(self, weight: np.ndarray, nv: int) -> np.ndarray:
        if self._real:
            return tile_weights.pack_weights_f32(isa.SELECTED, weight[:, None], nv)
        return tile_weights.pack_dense_weights_i8(isa.SELECTED, weight, nv)

    def reduce_statistics(self) -> None:
        """Emit what reduces the saved accumulators."""
        channels = np.arange(self._step.weight.shape[0])
        self._observer.reduce_statistics(0, self._saved_pixel, self._saved_pixel, 1, channels, channels >= 0)
