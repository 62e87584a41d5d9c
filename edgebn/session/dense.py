"""Packs float32 dense layers behind a ReLU for the kernel that skips inputs that are zero."""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa, tile_shapes, tile_weights
from edgebn.session.epilogues import FloatBlocks, pack_copy
from edgebn.session.observing import WIDEST_TILE, AccumulatorObserver, whole_vectors
from edgebn.session.packer import Packer
from edgebn.session.tiled import Target, Walk

OPERATION = "dense_f32"
# Fewer weights than this are read faster than the places of what is not zero are listed.
MIN_WEIGHTS = 4096


def suits(step: p.Convolution, program: p.Program) -> bool:
    """Whether a convolution is a dense layer of one sample with many weights, and its inputs are often zero."""
    if p.step_dtype(step, program) != "float32" or OPERATION not in executor.operations():
        return False
    height, width, _ = program.buffers[step.inputs[0]].shape
    whole = step.weight.shape[1:3] == (height, width) and step.padding == (0, 0, 0, 0) and step.dilations == (1, 1)
    is_dense = whole and step.groups == 1 and step.pool is None
    return is_dense and step.weight.size >= MIN_WEIGHTS and _is_often_zero(program, step.inputs[0])


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
    """Return the bytes of scratch: an int32 an input."""
    return 4 * step.weight[0].size


class DenseEmitter:
    """Emits the only row of a dense layer."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk) -> None:
        self._step = step
        self._packer = packer
        self._walk = walk
        self._observer = AccumulatorObserver(packer, step, 1, 1)
        self._saved_pixel = whole_vectors(step.weight.shape[0]) + 4 * isa.SELECTED.lanes * WIDEST_TILE

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit row 0, which is all there is."""
        assert (first, count) == (0, 1)
        outputs = self._step.weight.shape[0]
        weight = self._step.weight.reshape(outputs, 1, self._walk.run)
        begin = 0
        for nv, taken in tile_shapes.channel_segments(isa.SELECTED, outputs, columns=1, real=True):
            chosen = slice(begin, begin + taken)
            width = nv * isa.SELECTED.lanes
            blocks = -(-taken // width)
            layout = FloatBlocks(np.arange(begin, begin + taken), nv)
            epilogue, scalars = pack_copy(self._step, self._packer, layout)
            self._packer.emit_saving(
                OPERATION,
                self._observer.by_row(0, 1, (self._saved_pixel, self._saved_pixel), 4 * begin),
                variant=tile_shapes.dense_widths(isa.SELECTED).index(nv),
                src=self._walk.origin,
                depth=self._walk.run,
                weight=self._packer.constant(tile_weights.pack_weights_f32(isa.SELECTED, weight[chosen], nv)),
                epilogue=epilogue,
                dst=target.address + begin * np.float32().itemsize,
                blocks=blocks,
                last_channels=taken - (blocks - 1) * width,
                places=self._packer.scratch(self._step, "places"),
                **scalars,
            )
            begin += taken

    def reduce_statistics(self) -> None:
        """Emit what reduces the saved accumulators."""
        channels = np.arange(self._step.weight.shape[0])
        self._observer.reduce_statistics(0, self._saved_pixel, self._saved_pixel, 1, channels, channels >= 0)
