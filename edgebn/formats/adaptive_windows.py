"""The windows of adaptive pooling, which PyTorch and Keras have alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """The windows of one axis: window i of n goes from floor(i size / n) up to ceil((i + 1) size / n).

    Attributes
    ----------
    starts, lengths : ndarray of int64
    """

    starts: np.ndarray
    lengths: np.ndarray

    @property
    def length(self) -> int:
        """The longest window's."""
        return int(self.lengths.max())

    @property
    def stride(self) -> int:
        """From the first window to the second."""
        return int(self.starts[1]) if len(self.starts) > 1 else self.length

    @property
    def regular(self) -> bool:
        """Whether they are those of a pool: all of one length, one stride apart."""
        even = np.array_equal(self.starts, np.arange(len(self.starts)) * self.stride)
        return even and self.stride > 0 and bool((self.lengths == self.length).all())


def windows(size: int, target: int) -> Windows:
    """Return the windows that make `target` elements of `size`."""
    places = np.arange(target, dtype=np.int64)
    starts = places * size // target
    return Windows(starts, -(-(places + 1) * size // target) - starts)
