"""Convolutions by int16 weights: of uint8 files where int8 kernels cannot hold all channels, and of int16 codes.

Of uint8 files what they cannot hold is computed again, or all of it by plain loops.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edgebn import program as p
from edgebn.quick_dataclass import replace
from edgebn.session.packer import Address, Packer, codes, plain_epilogue, suffix
from edgebn.session.tiled import Target, TileEmitter, Walk

QUAD = 4  # channels that a step of a tile reads


class Emitter(Protocol):
    """Emits rows of a convolution."""

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` unpooled rows from row `first` on."""

    def reduce_statistics(self) -> None:
        """Emit what reduces the saved accumulators, once all rows are emitted."""


def _of_channels(epilogue: p.FloatEpilogue | p.IntEpilogue, channels: np.ndarray) -> p.IntEpilogue:
    """Return the epilogue of some output channels."""
    assert isinstance(epilogue, p.IntEpilogue)
    return replace(epilogue, **{name: getattr(epilogue, name)[channels] for name in ("acc_bias", "lo", "hi", "m", "r", "s")})


class PatchedEmitter:
    """Emits rows of a depthwise convolution, and over them some channels, each as a tile over the four inputs around its own.

    Nothing observes such a step (`adapt.source_moments`).
    """

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk, rows: int, narrow: Emitter, channels: np.ndarray) -> None:
        self._narrow = narrow
        self._alone = [(int(channel), _alone(step, packer, walk, rows, int(channel))) for channel in channels]

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` rows from row `first` on."""
        self._narrow.rows(first, count, target)
        for channel, emitter in self._alone:
            emitter.rows(first, count, Target(target.address + channel, target.row, target.pixel))

    def reduce_statistics(self) -> None:
        """Nothing to reduce."""


def _alone(step: p.Convolution, packer: Packer, walk: Walk, rows: int, channel: int) -> TileEmitter:
    """Return what emits one output channel of a depthwise convolution."""
    quad, lane = divmod(channel // (len(step.weight) // step.groups), QUAD)
    weight = np.zeros((1, *step.weight.shape[1:3], QUAD), np.int16)
    weight[..., lane] = step.weight[channel, :, :, 0]
    one = replace(step, weight=weight, epilogue=_of_channels(step.epilogue, np.array([channel])), groups=1, weight_scale=None)
    return TileEmitter(one, packer, replace(walk, origin=walk.origin + quad * QUAD, run=QUAD), rows)


class _Rows:
    """Emits rows by plain loops; nothing observes such a step."""

    def __init__(
        self, step: p.Convolution, packer: Packer, walk: Walk, operation: str, weight: np.ndarray, own: dict[str, Address | float]
    ) -> None:
        assert isinstance(step.epilogue, p.IntEpilogue)
        self._step, self._packer, self._walk, self._operation = step, packer, walk, operation
        self._arguments: dict[str, Address | float] = {
            **own,
            "weight": packer.constant(np.ascontiguousarray(weight, np.int16)),
            "epilogue": packer.constant(plain_epilogue(step.epilogue)),
            "outputs": len(step.weight),
            "column_step": walk.column_step,
            "tap_row_step": walk.tap_row_step,
            "tap_column_step": walk.tap_column_step,
            "tap_rows": walk.tap_rows,
            "tap_columns": walk.tap_columns,
            "run": walk.run,
            "row_step": walk.row_step,
            "columns": walk.columns,
            **codes(step.epilogue),
        }

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` rows from row `first` on."""
        self._packer.emit(
            self._operation,
            src=self._walk.origin + first * self._walk.row_step,
            dst=target.address,
            dst_row=target.row,
            dst_pixel=target.pixel,
            rows=count,
            **self._scratch(),
            **self._arguments,
        )

    def _scratch(self) -> dict[str, Address | float]:
        """Return the address of the scratch of the band that is emitted, where there is any."""
        return {}

    def reduce_statistics(self) -> None:
        """Nothing to reduce."""


class PlainEmitter(_Rows):
    """Emits rows of int8 or int16 codes, output after output."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk) -> None:
        outputs = np.arange(len(step.weight))
        sources = outputs // (len(outputs) // step.groups) * step.weight.shape[3]
        operation = f"convolution_wide_{suffix(packer.buffer(step.inputs[0]).dtype)}"
        super().__init__(step, packer, walk, operation, step.weight, {"sources": packer.constant(sources.astype(np.int64))})


class AlongOutputs(_Rows):
    """Emits rows of int16 codes, the outputs of a pixel side by side; 32 bits hold their sums."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk) -> None:
        weight = np.moveaxis(step.weight, 0, -1)
        super().__init__(step, packer, walk, "convolution_axpy_i16", weight, {})

    def _scratch(self) -> dict[str, Address | float]:
        return {"scratch": self._packer.scratch(self._step, "accumulators")}
