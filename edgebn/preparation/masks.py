"""From a map of scores to the class of every part of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.preparation.data import Mask


@dataclass(frozen=True)
class MaskAnswer:
    """The class of every cell of the network's map.

    Attributes
    ----------
    classes : ndarray of int64, shape (height, width)
        The lower class among equals.
    names : tuple of str
    shares : tuple of float
        Of the map, by class.
    """

    classes: np.ndarray
    names: tuple[str, ...]
    shares: tuple[float, ...]


def mask_answer(output: np.ndarray, mask: Mask) -> MaskAnswer:
    """Return the mask of one picture; `output` (height, width, classes) may be codes, which lie as the scores do."""
    classes = output.argmax(axis=2).astype(np.int64)
    counts = np.bincount(classes.reshape(-1), minlength=output.shape[2])
    return MaskAnswer(classes, mask.names, tuple((counts / classes.size).tolist()))
