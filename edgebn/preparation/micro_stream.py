"""Sound in pieces of any length to features: what a microphone's callback hands on. Compiled where Numba is installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from edgebn.preparation.data import MicroFrontEnd
from edgebn.preparation.micro_reference import micro_features
from edgebn.preparation.micro_tables import tables
from edgebn.preparation.sound_stream import SoundStream


class MicroStream(SoundStream):
    """The audio front end with what it remembers: the samples of the next window, and the estimate of noise.

    Parameters
    ----------
    settings : MicroFrontEnd, optional
        Left out, those of micro_speech and microWakeWord.

    Raises
    ------
    ModelError
        Settings that the front end cannot work with.
    """

    settings: MicroFrontEnd

    def __init__(self, settings: MicroFrontEnd | None = None) -> None:
        super().__init__(settings or MicroFrontEnd())
        self.row = np.zeros((0, self.settings.channels), np.uint16)
        found = tables(self.settings)
        self._arrays = (
            found.window,
            found.order,
            found.twiddles,
            found.super_twiddles,
            found.starts,
            found.widths,
            found.rising,
            found.falling,
            found.gains,
            found.logs,
        )
        log = int(self.settings.log)
        self._numbers = np.array(
            [
                self.settings.smoothing_bits,
                *found.smoothing,
                found.remaining,
                int(self.settings.pcan),
                found.snr_shift,
                log,
                found.correction,
                self.settings.log_scale_shift,
            ],
            np.int64,
        )
        self._noise = np.zeros(self.settings.channels, np.uint32)

    def reset(self) -> None:
        """Forget what was heard."""
        super().reset()
        self._noise = np.zeros(self.settings.channels, np.uint32)

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows: they are features already."""
        return rows

    def _rows(self, samples: np.ndarray, windows: int) -> np.ndarray:
        if find_spec("numba") is None:
            return micro_features(samples, self.settings, self._noise)
        from edgebn.preparation.sound_kernel import features

        out = np.empty((windows, self.settings.channels), np.uint16)
        features(samples, self.settings.step, *self._arrays, self._numbers, self._noise, out)
        return out
