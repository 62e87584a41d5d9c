"""Convolutions of int16 weights (uint8 files): int8 kernels for all channels, then the few that int8 does not hold once more."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.session.packer import Address, Packer, codes, plain_epilogue
from edgebn.session.tiled import Target, Walk


class Emitter(Protocol):
    """Emits rows of a convolution."""

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` unpooled rows from row `first` on."""

    def gather(self) -> None:
        """Emit what gathers the kept accumulators, once all rows are emitted."""


def is_wide(step: p.Convolution | p.TransposedConvolution) -> bool:
    """Whether a step's weights need more than int8."""
    return step.weight.dtype == np.int16


def narrowed(step: p.Convolution) -> p.Convolution:
    """Return the step with int8 weights: right for all channels but those that `WideEmitter` computes."""
    low = max(-128, isa.SELECTED.least_weight)
    return replace(step, weight=np.clip(step.weight, low, 127).astype(np.int8))


class WideEmitter:
    """Emits rows by the emitter of the narrowed step, and what it cannot hold over them; all channels where there is no such."""

    def __init__(self, step: p.Convolution, packer: Packer, walk: Walk, narrow: Emitter | None) -> None:
        self._packer, self._walk, self._narrow = packer, walk, narrow
        how = step.epilogue
        assert isinstance(how, p.IntEpilogue)
        outputs = len(step.weight)
        changed = (narrowed(step).weight != step.weight).reshape(outputs, -1).any(axis=1)
        chosen = np.arange(outputs) if narrow is None else np.flatnonzero(changed)
        sources = chosen // (outputs // step.groups) * step.weight.shape[3]
        arrays = {name: getattr(how, name)[chosen] for name in ("acc_bias", "lo", "hi", "m", "r", "s")}
        self._count = len(chosen)
        self._arguments: dict[str, Address | float] = {
            "weight": packer.constant(np.ascontiguousarray(step.weight[chosen])),
            "epilogue": packer.constant(plain_epilogue(replace(how, **arrays))),
            "channels": packer.constant(np.stack([sources, chosen], axis=1).astype(np.int64)),
            "count": self._count,
            "column_step": walk.column_step,
            "tap_row_step": walk.tap_row_step,
            "tap_column_step": walk.tap_column_step,
            "tap_rows": walk.tap_rows,
            "tap_columns": walk.tap_columns,
            "run": walk.run,
            "row_step": walk.row_step,
            "columns": walk.columns,
            **codes(how),
        }

    def rows(self, first: int, count: int, target: Target) -> None:
        """Emit `count` rows from row `first` on."""
        if self._narrow is not None:
            self._narrow.rows(first, count, target)
        if self._count:
            self._packer.emit(
                "wide_i8",
                src=self._walk.origin + first * self._walk.row_step,
                dst=target.address,
                dst_row=target.row,
                dst_pixel=target.pixel,
                rows=count,
                **self._arguments,
            )

    def gather(self) -> None:
        """Nothing observes such a step (`adapt.factory`)."""
