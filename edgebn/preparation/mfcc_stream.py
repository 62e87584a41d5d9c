"""Sound in pieces of any length to the rows that MFCCs are made of. Compiled where Numba is installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from edgebn.preparation.data import MfccFrontEnd
from edgebn.preparation.mfcc_reference import mfcc_features, mfcc_rows
from edgebn.preparation.mfcc_tables import mfcc_tables
from edgebn.preparation.sound_stream import SoundStream


class MfccStream(SoundStream):
    """The MFCC front end with what it remembers: the samples of the next window.

    Parameters
    ----------
    settings : MfccFrontEnd, optional
        Left out, those of MLPerf Tiny's keyword network.

    Raises
    ------
    ModelError
        Settings that the front end cannot work with.
    """

    settings: MfccFrontEnd

    def __init__(self, settings: MfccFrontEnd | None = None) -> None:
        super().__init__(settings or MfccFrontEnd())
        self._found = mfcc_tables(self.settings)
        self.row = np.zeros((0, self.settings.filters + 1), np.int16)

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return uint16 features (windows, channels) of the rows (windows, filters + 1) that the network hears at once."""
        return mfcc_features(rows, self.settings)

    def _rows(self, samples: np.ndarray, windows: int) -> np.ndarray:
        if find_spec("numba") is None:
            return mfcc_rows(samples, self.settings)
        from edgebn.preparation import sound_kernel

        front = self._found.front
        out = np.empty((windows, self.settings.filters + 1), np.int16)
        arrays = (front.window, front.order, front.twiddles, front.super_twiddles, front.starts, front.widths, front.rising)
        sound_kernel.mfcc_rows(samples, self.settings.step, *arrays, front.falling, front.logs, self._found.constant, out)
        return out
