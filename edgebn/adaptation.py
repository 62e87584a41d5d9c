"""What a program carries so that its batch norms can adapt (docs/adaptation.md): plain data, measured once on source samples.

Deviations are dimensionless everywhere behind the kernels: with x what a channel's batch norm receives, m0 and v0 its source
mean and variance and w0 = v0 + epsilon, d1 = (mean(x) - m0) / sqrt(w0) and d2 = (mean((x - m0)**2) - v0) / w0, both 0 for the
source.
"""

from __future__ import annotations

import numpy as np

from edgebn.quick_dataclass import dataclass


@dataclass(frozen=True)
class Observation:
    """What the epilogue of one step gathers in an inference, per output channel.

    Over the output positions of rows first_row, first_row + row_step, ... (before a fused pool, of the rows that it reaches:
    `program.observed_rows`), with u as in the epilogue:

    int8:    e = saturate_int16((u - center) >> shift)    S1 = sum e (int32), S2 = sum e * e (uint64)
    float32: e = u - center                               S1 = sum e, S2 = sum e * e (float32)

    Attributes
    ----------
    step : str
        A Convolution, TransposedConvolution or Affine.
    first_row, row_step : int
    center : ndarray of int32 (int8 programs) or float32, shape (channels,)
        The source mean, in accumulator units or as a real number.
    shift : ndarray of uint8 or None, shape (channels,)
        int8: one source sigma is 64 to 128 units of e where accumulators are large enough. None in float32.
    """

    step: str
    first_row: int
    row_step: int
    center: np.ndarray
    shift: np.ndarray | None = None


@dataclass(frozen=True)
class AdaptedLayer:
    """One adapted step.

    Attributes
    ----------
    observation : Observation
    layer : str
        The batch norm's name in the file; '' where the model came folded and is normalised against measured statistics.
    sigma : ndarray of float32, shape (channels,)
        sqrt(w0) in units of e. 0 marks a channel that keeps its source numbers whatever is seen.
    home : ndarray of float32, shape (channels,)
        v0 / w0.
    """

    observation: Observation
    layer: str
    sigma: np.ndarray
    home: np.ndarray

    @property
    def channels(self) -> int:
        """How many output channels the step has."""
        return len(self.sigma)


@dataclass(frozen=True)
class SourceTable:
    """What predicted classes do to the deviations of source samples: the tables of one policy, channels of all layers in one row.

    Attributes
    ----------
    policy : str
        Whose table this is; what its rows mean is the policy's.
    first, second : ndarray of int8, shape (rows, channels)
        Of d1 and d2, in units of their layer's scale.
    first_scale, second_scale : ndarray of float32, shape (layers,)
    """

    policy: str
    first: np.ndarray
    second: np.ndarray
    first_scale: np.ndarray
    second_scale: np.ndarray


@dataclass(frozen=True)
class Adaptation:
    """Everything that `edgebn.adaptable` measured.

    Attributes
    ----------
    layers : tuple of AdaptedLayer
        In the order of the steps.
    classes : int
        0 where the network does not classify.
    logits : str
        The buffer that the predicted class is read from; '' where classes is 0. A single number is the second of two classes',
        and the first one's is 0: what a sigmoid makes a probability of.
    margin : float
        Median, over source samples, of the difference between the two largest logits.
    strength : float
        How far the compensated policies follow what they see, 0..1: less where samples differ much by nature.
    noise : ndarray of float32, shape (layers,)
        Variance of what one sample says beyond the source and its class, averaged over channels.
    tables : tuple of SourceTable
    """

    layers: tuple[AdaptedLayer, ...]
    classes: int
    logits: str
    margin: float
    strength: float
    noise: np.ndarray
    tables: tuple[SourceTable, ...]
