"""Packs the observation of adapted steps: where accumulators are saved, of which rows and tiles, and what reduces them.

An emitter asks its `AccumulatorObserver` for the arguments that make its rows save accumulators, and at the end tells it how these
lie. Rows of the table take those arguments in observing tables only; in all others nothing is saved and nothing is reduced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.quick_dataclass import dataclass
from edgebn.session.packer import Address, Constant, Packer

if TYPE_CHECKING:
    from edgebn.adaptation import AdaptedLayer

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
WIDEST_TILE = 8  # vectors that a tile may write beyond the last channel


@dataclass(frozen=True)
class ReducedStatistics:
    """Sums of one reduction.

    Attributes
    ----------
    sums : Constant
        int32 (3, places), or float32 (2, places).
    places : int
    channel_places : ndarray of int64, shape (n, 2)
        (channel, place) of every place that counts.
    """

    sums: Constant
    places: int
    channel_places: np.ndarray


class AccumulatorObserver:
    """Saves the accumulators of one step, and reduces them to statistics.

    Parameters
    ----------
    packer : Packer
    step : Step
        Convolution, TransposedConvolution or Affine.
    rows, columns : int
        Of what the epilogue receives.
    """

    def __init__(self, packer: Packer, step: Any, rows: int, columns: int) -> None:
        self.packer, self.step, self.rows, self.columns = packer, step, rows, columns
        adaptation = packer.program.adaptation
        layers = adaptation.layers if adaptation is not None else ()
        self.layer: AdaptedLayer | None = next((layer for layer in layers if layer.observation.step == step.name), None)

    @property
    def is_observed(self) -> bool:
        """Whether the step is."""
        return self.layer is not None

    @property
    def observed(self) -> np.ndarray:
        """Which rows are observed, bool (rows,)."""
        assert self.layer is not None
        observed_mask = np.zeros(self.rows, bool)
        observed_mask[self._chosen] = True
        return observed_mask

    @property
    def _chosen(self) -> np.ndarray:
        assert self.layer is not None
        return p.observed_rows(self.step, self.layer.observation, self.rows)

    def by_row(self, first: int, count: int, steps: tuple[int, int], skipped: int = 0) -> dict[str, Address] | None:
        """Return the arguments for `count` rows from `first` on, with a mark a row; None where the step is not observed.

        Parameters
        ----------
        first, count : int
        steps : (row_bytes, pixel_bytes)
        skipped : int
            Bytes between where a row is saved and where this operation's first pixel of it goes.
        """
        if self.layer is None:
            return None
        observed_mask = self.packer.constant(self.observed[first : first + count].astype(np.uint8))
        saved = self.packer.save(self.rows * steps[0]) + (first * steps[0] + skipped)
        return {"saved": saved, "saved_row": steps[0], "saved_pixel": steps[1], "observed_mask": observed_mask}

    def by_tile(self, tiles: list[tuple[int, int]], start: int, steps: tuple[int, int], pixel: int) -> dict[str, Address] | None:
        """Return the arguments for tiles, with a mark a tile; None where the step is not observed.

        Parameters
        ----------
        tiles : list of (first, end)
            Pixels of each tile, counted over the whole value; in the kernel's order.
        start : int
            Byte at which the first pixel is saved.
        steps : (row_bytes, pixel_bytes)
        pixel : int
            Bytes of one saved pixel.
        """
        if self.layer is None:
            return None
        observed = np.repeat(self.observed, self.columns)
        observed_mask = self.packer.constant(np.array([observed[first:end].any() for first, end in tiles], np.uint8))
        saved = self.packer.save(self.rows * self.columns * pixel) + start
        return {"saved": saved, "saved_row": steps[0], "saved_pixel": steps[1], "observed_mask": observed_mask}

    def reduce_statistics(
        self, start: int, row_bytes: int, pixel_bytes: int, columns: int, channels: np.ndarray, counted: np.ndarray
    ) -> None:
        """Emit the reduction of saved accumulators to sums.

        Parameters
        ----------
        start : int
            Byte of the first column of row 0.
        row_bytes, pixel_bytes, columns : int
        channels : ndarray of int64, shape (places,)
            The channel in each place, -1 where there is none.
        counted : ndarray of bool, shape (places,)
            Whether a place's sums count: a channel may stand in several.
        """
        if self.layer is None:
            return
        lanes = isa.SELECTED.lanes or 1
        channels = np.append(channels, np.full(-len(channels) % lanes, -1))
        counted = np.append(counted, np.zeros(len(channels) - len(counted), bool)) & (channels >= 0)
        places = len(channels)
        if p.step_dtype(self.step, self.packer.program) == "int8":
            operation, table, bounds = "reduce_statistics_i8", self._int_table(channels), {}
            sums = np.zeros((3, places), np.int32)
        else:
            operation = "reduce_statistics_f32"
            table = np.where(channels >= 0, self.layer.observation.center[channels], np.float32(0)).astype(np.float32)
            low, high = self.step.epilogue.pre
            bounds = {"low": low, "high": high}
            sums = np.zeros((2, places), np.float32)
        area = self.packer.constant(sums)
        self.packer.emit_observing(
            operation,
            saved=self.packer.save(0) + start,
            lines=self.packer.constant(self._chosen.astype(np.int64) * row_bytes),
            saved_pixel=pixel_bytes,
            rows=len(self._chosen),
            columns=columns,
            places=places,
            table=self.packer.constant(table),
            sums=area,
            **bounds,
        )
        where = np.flatnonzero(counted)
        self.packer.reduced_statistics.setdefault(self.step.name, []).append(
            ReducedStatistics(area, places, np.stack([channels[where], where], axis=1))
        )

    def _int_table(self, channels: np.ndarray) -> np.ndarray:
        """Return int32 (4, places): center, shift, and the bounds of e that the epilogue's clip and int16 set."""
        assert self.layer is not None
        assert self.layer.observation.shift is not None
        epilogue: p.IntEpilogue = self.step.epilogue
        center = self.layer.observation.center.astype(np.int64)
        shift = self.layer.observation.shift.astype(np.int64)
        low = np.clip((epilogue.lo - center) >> shift, INT16_MIN, INT16_MAX)
        high = np.clip((epilogue.hi - center) >> shift, INT16_MIN, INT16_MAX)
        table = np.stack([center, shift, low, high])
        return np.where(channels >= 0, table[:, channels], 0).astype(np.int32)


def keeps_rows_adjacent(step: p.Convolution, program: p.Program) -> bool:
    """Whether an observed step's saved pixels adjoin, so that a vector stored for the last of a row reaches the next row.

    It is so where one vector holds all channels (`tiled.TileEmitter`).
    """
    adaptation = program.adaptation
    is_observed = adaptation is not None and any(layer.observation.step == step.name for layer in adaptation.layers)
    return is_observed and step.groups == 1 and step.weight.shape[0] < isa.SELECTED.lanes


def whole_vectors(channels: int) -> int:
    """Return the bytes of a saved pixel for kernels that keep channel c as the c-th number: whole vectors."""
    lanes = isa.SELECTED.lanes or 1
    return 4 * (-(-channels // lanes) * lanes)
