"""What all audio front ends have in common: samples come in pieces of any length, and rows are what whole windows become."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import MfccFrontEnd, MicroFrontEnd


class SoundStream(ABC):
    """A front end with the samples of its next window.

    Attributes
    ----------
    row : ndarray of shape (0, numbers of a window)
        No rows, of the type and size that `feed` returns.
    """

    row: np.ndarray

    def __init__(self, settings: MicroFrontEnd | MfccFrontEnd) -> None:
        self.settings = settings
        self._waiting = np.zeros(0, np.int16)

    def reset(self) -> None:
        """Forget what was heard."""
        self._waiting = np.zeros(0, np.int16)

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Take samples and return a row for every window that they complete.

        Parameters
        ----------
        samples : ndarray of int16, shape (n,)

        Returns
        -------
        ndarray, shape (windows, numbers of a window)
            No rows where the window is not yet full.

        Raises
        ------
        ModelError
            Samples of another type or of several microphones.
        """
        samples = np.asarray(samples)
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ModelError(f"sound is int16 of shape (n,), not {samples.dtype} of shape {samples.shape}")
        samples = np.concatenate([self._waiting, samples])
        windows = max(0, (len(samples) - self.settings.window) // self.settings.step + 1)
        self._waiting = samples[windows * self.settings.step :].copy()
        return self._rows(samples, windows)

    @abstractmethod
    def _rows(self, samples: np.ndarray, windows: int) -> np.ndarray:
        """Return the rows of the first whole windows of `samples`."""

    @abstractmethod
    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return uint16 features (windows, channels) of the rows that the network hears at once."""
