"""The elementwise activation functions by name, in float64: one formula each, for the specification and for int8 tables.

The names are those of `layers.ACTIVATIONS`. Knows nothing of layers, steps or codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np


class Parameters(Protocol):
    """What a formula may read; `program.Elementwise` and `layers.Activation` both have these."""

    @property
    def low(self) -> float:
        """Lower bound of clip."""

    @property
    def high(self) -> float:
        """Upper bound of clip."""

    @property
    def alpha(self) -> float:
        """Slope of leaky_relu and hard_sigmoid."""

    @property
    def beta(self) -> float:
        """Offset of hard_sigmoid."""

    @property
    def slope(self) -> np.ndarray | None:
        """Slope of prelu."""


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow for any x."""
    small = np.exp(-np.abs(x))  # at most 1
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def prelu(x: np.ndarray, slope: np.ndarray | None) -> np.ndarray:
    """Slope * x below zero, x elsewhere; slope is broadcast against x."""
    assert slope is not None, "a PReLU has a slope"
    return np.where(x < 0, slope.astype(np.float64) * x, x)


# Name to formula; x is float64.
FUNCTIONS: dict[str, Callable[[np.ndarray, Parameters], np.ndarray]] = {
    "clip": lambda x, f: np.clip(x, f.low, f.high),
    "leaky_relu": lambda x, f: np.where(x < 0, f.alpha * x, x),
    "prelu": lambda x, f: prelu(x, f.slope),
    "sigmoid": lambda x, _: sigmoid(x),
    "tanh": lambda x, _: np.tanh(x),
    "hard_sigmoid": lambda x, f: np.clip(f.alpha * x + f.beta, 0.0, 1.0),
    "hard_swish": lambda x, _: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "silu": lambda x, _: x * sigmoid(x),
}
