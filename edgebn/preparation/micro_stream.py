"""Sound in pieces of any length to features: what a microphone's callback hands on. Compiled where Numba is installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import MicroFrontEnd
from edgebn.preparation.micro_reference import micro_features
from edgebn.preparation.micro_tables import tables


class MicroStream:
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

    def __init__(self, settings: MicroFrontEnd | None = None) -> None:
        self.settings = settings or MicroFrontEnd()
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
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._waiting = np.zeros(0, np.int16)
        self._noise = np.zeros(self.settings.channels, np.uint32)

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Take samples and return the features of every window that they complete.

        Parameters
        ----------
        samples : ndarray of int16, shape (n,)

        Returns
        -------
        ndarray of uint16, shape (windows, channels)
            No rows where the window is not yet full.

        Raises
        ------
        ModelError
            Samples of another type or of several microphones.
        """
        samples = np.asarray(samples)
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ModelError(f"sound is int16 of shape (n,), not {samples.dtype} of shape {samples.shape}")
        settings = self.settings
        samples = np.concatenate([self._waiting, samples])
        windows = max(0, (len(samples) - settings.window) // settings.step + 1)
        self._waiting = samples[windows * settings.step :].copy()
        if find_spec("numba") is None:
            return micro_features(samples, settings, self._noise)
        from edgebn.preparation.micro_kernel import features

        out = np.empty((windows, settings.channels), np.uint16)
        features(samples, settings.step, *self._arrays, self._numbers, self._noise, out)
        return out
