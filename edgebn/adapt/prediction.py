"""What an inference predicts: class, its probability and its margin, from the logits in float32."""

from __future__ import annotations

import numpy as np

from edgebn.reference.float32 import exp, sequential_sum


def predict(logits: np.ndarray) -> tuple[int, np.float32, np.float32]:
    """Return (label, probability, margin).

    Parameters
    ----------
    logits : ndarray of float32, shape (classes,)
        Two or more; of int8 programs (code - zero point) * scale, in float32. Of equal logits the first counts as the largest.
    """
    label = int(np.argmax(logits))
    largest = logits[label]
    others = np.delete(logits, label)
    probability = np.float32(1) / sequential_sum(exp(logits - largest))
    return label, probability, largest - others.max()
