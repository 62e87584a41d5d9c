"""From a network's outputs to answers that people read: classes by name, with probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.preparation.data import Classes
from edgebn.program import Program


@dataclass(frozen=True)
class ClassAnswer:
    """One class of a sample.

    Attributes
    ----------
    index : int
    name : str
        '' where the program has none.
    score : float
        Its probability.
    """

    index: int
    name: str
    score: float


def class_answers(outputs: np.ndarray, program: Program, top: int = 5) -> list[list[ClassAnswer]]:
    """Return the most probable classes of each sample, best first, the lower index first among equals.

    Parameters
    ----------
    outputs : ndarray, shape (N, ...)
        Of the program's only output: float32 real numbers or int8 codes.
    program : Program
        With `preparation.after`.
    top : int
        How many classes of each sample.
    """
    assert program.preparation is not None
    assert isinstance(program.preparation.after, Classes)
    shares = probabilities(outputs, program, program.preparation.after)
    names = program.preparation.after.names
    order = np.argsort(-shares, axis=1, kind="stable")[:, :top]
    return [
        [ClassAnswer(int(index), names[index] if names else "", float(row[index])) for index in best]
        for row, best in zip(shares, order, strict=True)
    ]


def probabilities(outputs: np.ndarray, program: Program, classes: Classes) -> np.ndarray:
    """Return float64 (N, classes); a single score is that of the second of two classes."""
    scores = outputs.reshape(len(outputs), -1).astype(np.float64)
    if outputs.dtype.kind == "i":
        buffer = program.buffers[program.outputs[0]]
        scores = (scores - buffer.zero_point) * buffer.scale
    if scores.shape[1] == 1:
        shares = 1 / (1 + np.exp(-scores)) if classes.logits else scores
        return np.concatenate([1 - shares, shares], axis=1)
    if not classes.logits:
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
