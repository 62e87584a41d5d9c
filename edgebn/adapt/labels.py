"""Labels from outside, checked against what a network can say."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.errors import ModelError


def checked_labels(program: p.Program, labels: Any, count: int, classes: int) -> np.ndarray:
    """Return labels as int64 (count,).

    Raises
    ------
    ModelError
        The network does not classify, or they are not one class a sample.
    """
    found = np.asarray(labels)
    if not classes:
        raise ModelError(f"{program.source}: labels were given, but the network does not classify; leave them out")
    if found.shape != (count,) or found.dtype.kind not in "iu" or (found < 0).any() or (found >= classes).any():
        raise ModelError(f"{program.source}: labels must be {count} integers from 0 to {classes - 1}, one an image")
    return found.astype(np.int64)
