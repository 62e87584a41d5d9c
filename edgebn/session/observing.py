"""Packs the observation of adapted steps: where accumulators are kept, which rows and tiles are marked, and what gathers them.

An emitter asks its `Watcher` for the arguments that make its rows keep accumulators, and at the end tells it how the kept ones lie.
Rows of the table take those arguments in observing tables only; in all others nothing is kept and nothing is gathered.
"""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.adaptation import AdaptedLayer
from edgebn.kernels import isa
from edgebn.quick_dataclass import dataclass
from edgebn.session.packer import Address, Constant, Packer

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
WIDEST_TILE = 8  # vectors that a tile may write beyond the last channel


@dataclass(frozen=True)
class Gathered:
    """Sums of one gathering.

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


@dataclasses.dataclass
class Watcher:
    """Keeps and gathers the accumulators of one step.

    Parameters
    ----------
    packer : Packer
    step : Step
        Convolution, TransposedConvolution or Affine.
    rows, columns : int
        Of what the epilogue receives.
    """

    packer: Packer
    step: Any
    rows: int
    columns: int
    layer: AdaptedLayer | None = field(init=False)

    def __post_init__(self) -> None:
        given = self.packer.program.adaptation
        layers = given.layers if given is not None else ()
        self.layer = next((layer for layer in layers if layer.observation.step == self.step.name), None)

    @property
    def observed(self) -> np.ndarray:
        """Which rows are observed, bool (rows,)."""
        assert self.layer is not None
        marks = np.zeros(self.rows, bool)
        marks[self._chosen] = True
        return marks

    @property
    def _chosen(self) -> np.ndarray:
        assert self.layer is not None
        return p.observed_rows(self.step, self.layer.observation, self.rows)

    def by_row(self, first: int, count: int, steps: tuple[int, int], skipped: int = 0) -> dict[str, Address] | None:
        """Return the arguments for `count` rows from `first` on, with a mark a row; None where the step is not observed.

        Parameters
        ----------
        first, count : int
        steps : (raw_row, raw_pixel)
        skipped : int
            Bytes between where a row is kept and where this operation's first pixel of it goes.
        """
        if self.layer is None:
            return None
        marks = self.packer.constant(self.observed[first : first + count].astype(np.uint8))
        kept = self.packer.keep(self.rows * steps[0]) + (first * steps[0] + skipped)
        return {"raw": kept, "raw_row": steps[0], "raw_pixel": steps[1], "marks": marks}

    def by_tile(self, tiles: list[tuple[int, int]], raw: int, steps: tuple[int, int], pixel: int) -> dict[str, Address] | None:
        """Return the arguments for tiles, with a mark a tile; None where the step is not observed.

        Parameters
        ----------
        tiles : list of (first, end)
            Pixels of each tile, counted over the whole value; in the kernel's order.
        raw : int
            Byte at which the first pixel is kept.
        steps : (raw_row, raw_pixel)
        pixel : int
            Bytes of one kept pixel.
        """
        if self.layer is None:
            return None
        observed = np.repeat(self.observed, self.columns)
        marks = np.array([observed[first:end].any() for first, end in tiles], np.uint8)
        kept = self.packer.keep(self.rows * self.columns * pixel) + raw
        return {"raw": kept, "raw_row": steps[0], "raw_pixel": steps[1], "marks": self.packer.constant(marks)}

    def gather(self, raw: int, raw_row: int, raw_pixel: int, columns: int, channels: np.ndarray, counted: np.ndarray) -> None:
        """Emit the gathering of kept accumulators.

        Parameters
        ----------
        raw : int
            Byte of the first column of row 0.
        raw_row, raw_pixel, columns : int
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
            operation, table, bounds = "gather_i8", self._int_table(channels), {}
            sums = np.zeros((3, places), np.int32)
        else:
            operation = "gather_f32"
            table = np.where(channels >= 0, self.layer.observation.center[channels], np.float32(0)).astype(np.float32)
            low, high = self.step.epilogue.pre
            bounds = {"low": low, "high": high}
            sums = np.zeros((2, places), np.float32)
        area = self.packer.constant(sums)
        self.packer.emit_observing(
            operation,
            raw=self.packer.keep(0) + raw,
            lines=self.packer.constant(self._chosen.astype(np.int64) * raw_row),
            raw_pixel=raw_pixel,
            rows=len(self._chosen),
            columns=columns,
            places=places,
            table=self.packer.constant(table),
            sums=area,
            **bounds,
        )
        where = np.flatnonzero(counted)
        self.packer.gathered.setdefault(self.step.name, []).append(
            Gathered(area, places, np.stack([channels[where], where], axis=1))
        )

    def _int_table(self, channels: np.ndarray) -> np.ndarray:
        """Return int32 (4, places): center, shift, and the bounds of e that the epilogue's clip and int16 set."""
        assert self.layer is not None
        assert self.layer.observation.shift is not None
        how: p.IntEpilogue = self.step.epilogue
        center = self.layer.observation.center.astype(np.int64)
        shift = self.layer.observation.shift.astype(np.int64)
        low = np.clip((how.lo - center) >> shift, INT16_MIN, INT16_MAX)
        high = np.clip((how.hi - center) >> shift, INT16_MIN, INT16_MAX)
        table = np.stack([center, shift, low, high])
        return np.where(channels >= 0, table[:, channels], 0).astype(np.int32)


def keeps_rows_adjacent(step: p.Convolution, program: p.Program) -> bool:
    """Whether an observed step's kept pixels adjoin, so that a vector stored for the last of a row reaches the next row.

    It is so where one vector holds all channels (`tiled.TileEmitter`).
    """
    given = program.adaptation
    is_observed = given is not None and any(layer.observation.step == step.name for layer in given.layers)
    return is_observed and step.groups == 1 and step.weight.shape[0] < isa.SELECTED.lanes


def whole_vectors(channels: int) -> int:
    """Return the bytes of a kept pixel for kernels that keep channel c as the c-th number: whole vectors."""
    lanes = isa.SELECTED.lanes or 1
    return 4 * (-(-channels // lanes) * lanes)
