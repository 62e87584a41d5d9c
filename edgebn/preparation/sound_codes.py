"""From features to what the network takes: one table of thresholds, whichever rule makes the codes."""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import Sound

LEVELS = 1 << 16


def real_values(features: np.ndarray, sound: Sound) -> np.ndarray:
    """Return float32 numbers of uint16 features."""
    return features.astype(np.float32) * np.float32(sound.scale) + np.float32(sound.offset)


def thresholds(sound: Sound, scale: float, zero_point: int) -> np.ndarray:
    """Return, for codes -127 to 127, the least feature that reaches each: code = -128 + how many of them a feature reaches.

    Parameters
    ----------
    sound : Sound
    scale, zero_point : float, int
        Of the network's input.

    Returns
    -------
    ndarray of int32, shape (255,)
        65536 for a code that no feature reaches.

    Raises
    ------
    ModelError
        Louder sounds give smaller codes.
    """
    every = np.arange(LEVELS)
    if sound.codes == "micro_speech":
        codes = (every * 256 + 333) // 666 - 128
    else:
        codes = np.rint(real_values(every.astype(np.uint16), sound) / np.float32(scale)).astype(np.int64) + zero_point
    codes = np.clip(codes, -128, 127)
    if (np.diff(codes) < 0).any():
        raise ModelError("a sound's scale is positive: louder features give larger numbers")
    return np.searchsorted(codes, np.arange(-127, 128)).astype(np.int32)


def int8_codes(features: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return int8 codes of uint16 features by their thresholds."""
    return (np.searchsorted(limits, features, side="right") - 128).astype(np.int8)
