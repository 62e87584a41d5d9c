"""From what a network gives back to how far it is off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebn.preparation.data import Anomaly
from edgebn.preparation.heads import real
from edgebn.program import Program


@dataclass(frozen=True)
class AnomalyAnswer:
    """How far a sample is off.

    Attributes
    ----------
    score : float
        Mean of the squared differences of input and output.
    is_anomaly : bool
    """

    score: float
    is_anomaly: bool


def anomaly_answer(network_input: np.ndarray, output: np.ndarray, program: Program, anomaly: Anomaly) -> AnomalyAnswer:
    """Return it of one sample: the input and the output, float32 or int8 codes; summed in float64 from the first to the last."""
    ends = zip((network_input, output), (program.inputs[0], program.outputs[0]), strict=True)
    x, y = (real(values, program, name).reshape(-1).astype(np.float64) for values, name in ends)
    score = float(np.cumsum((x - y) ** 2)[-1] / len(x))
    return AnomalyAnswer(score, score > anomaly.threshold)
