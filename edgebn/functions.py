"""The elementwise functions by name: one formula each, for the specification and for int8 tables.

Layers, steps and kernels know functions by these names. Knows nothing of layers, steps or codes.
"""

from __future__ import annotations

import math
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
        """Slope of leaky_relu and hard_sigmoid, depth of elu, exponent of power, base of exp_base."""

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


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al., Self-Normalizing Neural Networks (2017)
GELU_TANH, GELU_CUBE = float(np.sqrt(8 / np.pi)), 0.044715  # Hendrycks and Gimpel, Gaussian Error Linear Units (2016)


def quiet(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return function(x) without warnings about what lies outside its domain."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(function(x))


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) without overflow for any x."""
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


def elu(x: np.ndarray, alpha: float) -> np.ndarray:
    """Alpha * (exp(x) - 1) below zero, x elsewhere."""
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0.0)), x)


def power(x: np.ndarray, exponent: float) -> np.ndarray:
    """Raise x by a number, a float32 as every parameter; NaN of a negative x unless that is a whole number."""
    return quiet(lambda v: np.float_power(v, np.float32(exponent)), x)


def exp_base(x: np.ndarray, base: float) -> np.ndarray:
    """Return a number, a float32 as every parameter, to the power of x."""
    return quiet(lambda v: np.float_power(np.float32(base), v), x)


def erf(x: np.ndarray) -> np.ndarray:
    """Return the error function."""
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def gelu(x: np.ndarray) -> np.ndarray:
    """X times the share of a normal distribution below x."""
    return x * np.asarray(np.vectorize(math.erfc, otypes=[np.float64])(-x / np.sqrt(2.0))) / 2.0


# Name to formula; x is float64. Outside a function's domain the value is infinite or NaN, as IEEE has it.
FUNCTIONS: dict[str, Callable[[np.ndarray, Parameters], np.ndarray]] = {
    "clip": lambda x, f: np.clip(x, f.low, f.high),  # relu is clip(0, inf), relu6 is clip(0, 6)
    "leaky_relu": lambda x, f: np.where(x < 0, f.alpha * x, x),
    "prelu": lambda x, f: prelu(x, f.slope),
    "sigmoid": lambda x, _: sigmoid(x),
    "tanh": lambda x, _: np.tanh(x),
    "hard_sigmoid": lambda x, f: np.clip(f.alpha * x + f.beta, 0.0, 1.0),
    "hard_swish": lambda x, _: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "silu": lambda x, _: x * sigmoid(x),
    "abs": lambda x, _: np.abs(x),
    "ceil": lambda x, _: np.ceil(x),
    "cos": lambda x, _: quiet(np.cos, x),
    "elu": lambda x, f: elu(x, f.alpha),
    "erf": lambda x, _: erf(x),
    "exp": lambda x, _: quiet(np.exp, x),
    "exp_base": lambda x, f: exp_base(x, f.alpha),
    "floor": lambda x, _: np.floor(x),
    "gelu": lambda x, _: gelu(x),
    "gelu_tanh": lambda x, _: x * sigmoid(GELU_TANH * (x + GELU_CUBE * x**3)),
    "log": lambda x, _: quiet(np.log, x),
    "mish": lambda x, _: x * np.tanh(softplus(x)),
    "power": lambda x, f: power(x, f.alpha),
    "reciprocal": lambda x, _: quiet(np.reciprocal, x),
    "round": lambda x, _: np.rint(x),  # ties to even
    "rsqrt": lambda x, _: quiet(lambda v: 1.0 / np.sqrt(v), x),
    "selu": lambda x, _: SELU_SCALE * elu(x, SELU_ALPHA),
    "sin": lambda x, _: quiet(np.sin, x),
    "softplus": lambda x, _: softplus(x),
    "sqrt": lambda x, _: quiet(np.sqrt, x),
    "square": lambda x, _: np.square(x),
}


def squared_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(a - b)**2."""
    difference = a - b
    return np.asarray(difference * difference)


def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a / b as IEEE has it: infinite or NaN where b is zero."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(np.true_divide(a, b))


def power_of_each(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a**b, rounded once: NaN of a negative a unless b is a whole number."""
    return quiet(lambda base: np.float_power(base, b).astype(np.result_type(a, b)), a)


# Name to formula of two broadcasting arrays of one type; each operation is rounded in that type. The order is the kernel's.
BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "subtract": np.subtract,
    "divide": divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "squared_difference": squared_difference,
    "power": power_of_each,
}
# Those that codes do not have.
OF_REALS = ("divide", "power")


def floored(function: Callable[[np.ndarray, np.ndarray], np.ndarray], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return function(a, b) of int32 numbers cut to 32 bits, 0 where b is 0."""
    wide = np.broadcast_arrays(a.astype(np.int64), b.astype(np.int64))
    nothing = wide[1] == 0
    return np.asarray(np.where(nothing, 0, function(wide[0], np.where(nothing, 1, wide[1])))).astype(np.int32)


# Name to formula of two broadcasting arrays, both float32 or both int32; 1 where it holds. The order is the kernel's.
COMPARISONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
}

# Name to formula of two broadcasting arrays, whose values are int32: comparisons, and int32 arithmetic that wraps around.
INTEGER_BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    **COMPARISONS,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "floor_divide": lambda a, b: floored(np.floor_divide, a, b),
    "floor_mod": lambda a, b: floored(np.mod, a, b),
}

# Recurrent cells: how many gates they have, and how many values they carry from one moment to the next.
CELLS = {"lstm": 4, "gru": 3, "rnn": 1}
CELL_STATES = {"lstm": 2, "gru": 1, "rnn": 1}
# Functions of their gates and of their states, as formulas of float64; that of a hard sigmoid has a slope as well.
GATES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "sigmoid": lambda v, _: sigmoid(v),
    "hard_sigmoid": lambda v, slope: np.clip(np.float32(slope) * v + 0.5, 0.0, 1.0),
}
STATE_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda v: np.maximum(v, 0.0),
    "sigmoid": sigmoid,
    "identity": lambda v: v,
}
