"""Source statistics of adapted steps, in the units of their accumulators: from the batch norm's numbers, or measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.adaptation import AdaptedLayer, Observation
from edgebn.errors import ModelError
from edgebn.reference.refold import INT32_MAX, refusal

MIN_SIGMA = 64.0  # of one source sigma, in units of e, where accumulators are large enough
MAX_SHIFT = 24
# The least and largest source sigma of a channel that adapts, in units of its accumulator: beyond, squares of deviations overflow.
USABLE_SIGMA = {"int8": (2.0**-10, float(np.finfo(np.float32).max)), "float32": (1e-12, 1e18)}
LARGEST_MEAN = {"int8": float(INT32_MAX), "float32": 1e18}
MAX_POSITIONS = (1 << 16) - 1  # so that sums of int16 deviations fit int32

Adaptable = p.Convolution | p.TransposedConvolution | p.Affine


@dataclass(frozen=True)
class Moments:
    """A channel's mean, variance and epsilon, float64 (channels,), in accumulator units (int8) or real numbers (float32)."""

    mean: np.ndarray
    variance: np.ndarray
    epsilon: np.ndarray


def adaptable_steps(program: p.Program) -> list[Adaptable]:
    """Return the steps that can adapt: those with a batch norm in their epilogue.

    In a model that came already folded nothing says where batch norms were: every convolution but the last, which makes the logits.
    Of a model that is int8 in part, the int8 part adapts: sums of integers and of float32 numbers are not gathered together.
    """
    weighted = [
        step
        for step in program.steps
        if isinstance(step, p.Convolution | p.TransposedConvolution | p.Affine)
        and p.step_dtype(step, program) != "int16"  # no kernel keeps the accumulators of either kind of int16
        and (isinstance(step, p.Affine) or step.weight.dtype != np.int16)
    ]
    found = [step for step in weighted if batch_norm(step) is not None] or weighted[:-1]
    types = {p.step_dtype(step, program) for step in found}
    return [step for step in found if len(types) == 1 or p.step_dtype(step, program) == "int8"]


def batch_norm(step: Adaptable) -> p.Norm | None:
    """Return the first batch norm in a step's epilogue, which is the one that adapts."""
    return next((norm for norm in step.epilogue.norms if norm.is_batch_norm), None)


def accumulator_scale(program: p.Program, step: Adaptable) -> np.ndarray:
    """Return the real value of one accumulator step, float64 (channels,)."""
    buffer = program.buffers[step.inputs[0]]
    channels = program.buffers[step.output].shape[2]
    if isinstance(step, p.Affine):
        return np.full(channels, buffer.scale)
    if step.weight_scale is None:
        raise ModelError(f"{program.source}: step '{step.name}' has int8 weights without scales; quantise the model again")
    return buffer.scale * step.weight_scale


def accumulator_bounds(step: Adaptable) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 (low, high) of what an int8 step's accumulator can be, `acc_bias` included."""
    assert isinstance(step.epilogue, p.IntEpilogue)
    bias = step.epilogue.acc_bias.astype(np.int64)
    if isinstance(step, p.Affine):
        return bias - 128, bias + 127
    rows = step.weight.reshape(len(step.weight), -1).astype(np.int64)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    if isinstance(step, p.TransposedConvolution):  # any of the taps may meet a pixel
        return bias - 128 * (positive - negative), bias + 128 * (positive - negative)
    return bias - 128 * positive + 127 * negative, bias + 127 * positive - 128 * negative


def trained_moments(program: p.Program, step: Adaptable) -> Moments:
    """Return the statistics of a step's batch norm as its accumulators would have them."""
    norm = batch_norm(step)
    assert norm is not None
    mean, variance = norm.mean.astype(np.float64), norm.variance.astype(np.float64)
    epsilon = np.full(len(mean), norm.epsilon, np.float64)
    gain, shift = np.ones(len(mean)), np.zeros(len(mean))
    for before in step.epilogue.norms[: step.epilogue.norms.index(norm)]:  # constant multiplies and adds
        factor = before.gamma.astype(np.float64) / np.sqrt(before.variance.astype(np.float64) + before.epsilon)
        gain, shift = gain * factor, (shift - before.mean) * factor + before.beta
    if isinstance(step.epilogue, p.IntEpilogue):
        known = step.epilogue.bias
        bias = np.zeros(len(mean)) if known is None else known.astype(np.float64)
        scale = accumulator_scale(program, step)
        gain, shift = gain * scale, shift + gain * bias
    # A gain of 0, or next to it: the channel is constant, and keeps its source numbers.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        return Moments((mean - shift) / gain, variance / gain**2, epsilon / gain**2)


def describe(program: p.Program, step: Adaptable, moments: Moments, rows: tuple[int, int], layer: str) -> AdaptedLayer:
    """Return the record of one adapted step.

    Parameters
    ----------
    moments : Moments
        NaN or infinite where a channel cannot adapt. Nor can one whose mean is none that its accumulators could have, or whose
        deviation is next to nothing or immense (a batch norm that never saw its layer): such channels keep their source numbers.
    rows : (first_row, row_step)
    layer : str
        The batch norm's name.

    Raises
    ------
    ModelError
        The step has more positions than its sums can hold.
    """
    shape = p.epilogue_shape(step, program)
    if len(range(rows[0], shape[0], rows[1])) * shape[1] > MAX_POSITIONS:
        raise ModelError(
            f"{program.source}: step '{step.name}' observes more than {MAX_POSITIONS} positions, and its 32-bit sums might "
            "overflow; observe fewer rows"
        )
    with np.errstate(invalid="ignore"):
        sigma = np.sqrt(moments.variance + moments.epsilon)
    dtype = p.step_dtype(step, program)
    least, largest = USABLE_SIGMA[dtype]
    fits = (np.abs(moments.mean) <= LARGEST_MEAN[dtype]) & (sigma >= least) & (sigma <= largest)
    mean, sigma = np.where(fits, moments.mean, 0.0), np.where(fits, sigma, 0.0)
    relative_variance = np.where(fits, moments.variance / np.where(fits, sigma, 1.0) ** 2, 0.0).astype(np.float32)
    epilogue: Any = step.epilogue
    if dtype == "float32":
        fits &= epilogue.a != 0
        observation = Observation(step.name, *rows, mean.astype(np.float32))
        return AdaptedLayer(
            observation, layer, np.where(fits, sigma, 0.0).astype(np.float32), np.where(fits, relative_variance, np.float32(0))
        )
    low, high = accumulator_bounds(step)
    low, high = np.maximum(low, epilogue.lo), np.minimum(high, epilogue.hi)
    exponent = np.floor(np.log2(np.maximum(sigma, MIN_SIGMA) / MIN_SIGMA)).astype(np.int64)
    shift = np.clip(exponent, 0, MAX_SHIFT)
    # Half a unit below the mean, because the shift rounds down.
    center = np.clip(np.rint(mean).astype(np.int64) - ((np.int64(1) << shift) >> 1), low, high)
    fits &= (epilogue.m != 0) & ~refusal(epilogue, center, (low, high))
    center = np.where(fits, center, np.clip(0, low, high))
    observation = Observation(step.name, *rows, center.astype(np.int32), shift.astype(np.uint8))
    unit = np.ldexp(sigma, (-shift).astype(np.int32))
    return AdaptedLayer(
        observation, layer, np.where(fits, unit, 0.0).astype(np.float32), np.where(fits, relative_variance, np.float32(0))
    )
