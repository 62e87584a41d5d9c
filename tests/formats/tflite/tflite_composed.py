"""Random float32 TensorFlow Lite files of the operators that edgebn makes of several layers; rows of `tflite_operators.py`."""

from __future__ import annotations

import numpy as np

from tests.formats.tflite.tflite_maker import Maker

SHAPE = (1, 6, 7, 5)


def l2_normalization(m: Maker):
    x, y = m.value(SHAPE), m.value(SHAPE)
    m.file.operator("L2_NORMALIZATION", [x], [y], "L2NormOptions", fusedActivationFunction=0)
    return x, y


def l2_normalization_of_zeros(m: Maker):
    """Where the norm is zero everything stays zero."""
    x, zero, y = m.value(SHAPE), m.value(SHAPE), m.value(SHAPE)
    m.file.operator("RELU", [x], [zero])
    m.file.operator("L2_NORMALIZATION", [zero], [y], "L2NormOptions", fusedActivationFunction=0)
    return x, y


def log_softmax(m: Maker):
    x, y = m.value(SHAPE), m.value(SHAPE)
    m.file.operator("LOG_SOFTMAX", [x], [y], "LogSoftmaxOptions")
    return x, y


AXES = ((1,), (2,), (3,), (1, 3), (2, 3), (1, 2, 3))


def reduce_prod(m: Maker):
    axes = AXES[int(m.rng.integers(len(AXES)))]
    keep = bool(m.rng.integers(2))
    kept = [(1 if keep else None) if axis in axes else size for axis, size in enumerate(SHAPE)]
    x, near_one, y = m.value(SHAPE), m.value(SHAPE), m.value([size for size in kept if size])
    m.file.operator("MUL", [x, m.file.constant(np.float32([0.7]))], [near_one], "MulOptions")
    m.file.operator("REDUCE_PROD", [near_one, m.integers(*axes)], [y], "ReducerOptions", keepDims=keep)
    return x, y


def neg(m: Maker):
    x, y = m.value(SHAPE), m.value(SHAPE)
    m.file.operator("NEG", [x], [y], "NegOptions")
    return x, y


def power(m: Maker):
    """Whole powers of any number, and others of positive ones."""
    exponent = float(m.rng.choice([2, 3, 5, 0.5, 0.75, 1.7]))
    x, positive, y = m.value(SHAPE), m.value(SHAPE), m.value(SHAPE)
    m.file.operator("TANH" if exponent == int(exponent) else "LOGISTIC", [x], [positive])
    m.file.operator("POW", [positive, m.file.constant(np.float32([exponent]))], [y], "PowOptions")
    return x, y


def add_n(m: Maker):
    x, second, third, y = (m.value(SHAPE) for _ in range(4))
    m.file.operator("TANH", [x], [second])
    m.file.operator("LOGISTIC", [x], [third])
    m.file.operator("ADD_N", [x, second, third], [y], "AddNOptions")
    return x, y


def l2_pool_2d(m: Maker):
    kernel, strides, padding = m.sizes(1, 4), m.sizes(1, 3), int(m.rng.integers(0, 2))
    sizes = SHAPE[1:3]
    out = [-(-size // s) if padding == 0 else (size - k) // s + 1 for size, k, s in zip(sizes, kernel, strides, strict=True)]
    x, y = m.value(SHAPE), m.value((1, *out, 5))
    settings = {"filterHeight": kernel[0], "filterWidth": kernel[1], "strideH": strides[0], "strideW": strides[1]}
    m.file.operator("L2_POOL_2D", [x], [y], "Pool2DOptions", padding=padding, fusedActivationFunction=0, **settings)
    return x, y


def local_response_normalization(m: Maker):
    settings = {"radius": int(m.rng.integers(0, 4)), "bias": 1.5, "alpha": float(np.float32(m.rng.uniform(0.01, 1)))}
    beta = float(m.rng.choice([0.5, 0.75, 1.0]))
    x, y = m.value(SHAPE), m.value(SHAPE)
    m.file.operator("LOCAL_RESPONSE_NORMALIZATION", [x], [y], "LocalResponseNormalizationOptions", beta=beta, **settings)
    return x, y


def cumsum(m: Maker):
    x, y, axis = m.value(SHAPE), m.value(SHAPE), int(m.rng.integers(-3, 0))
    exclusive, reverse = (bool(choice) for choice in m.rng.integers(0, 2, 2))
    m.file.operator("CUMSUM", [x, m.file.constant(np.int32(axis))], [y], "CumsumOptions", exclusive=exclusive, reverse=reverse)
    return x, y


COMPOSED = (
    cumsum,
    l2_normalization,
    l2_normalization_of_zeros,
    log_softmax,
    reduce_prod,
    neg,
    power,
    add_n,
    l2_pool_2d,
    local_response_normalization,
)
