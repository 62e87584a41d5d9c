"""Folded batch-norm parameters as arrays for kernels of other people: our own contract, and what CMSIS-NN and TFLM want.

Plain NumPy; knows programs and nothing of C text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgebn.errors import ModelError
from edgebn.program import Affine, Convolution, FloatEpilogue, IntEpilogue, Program, TransposedConvolution

Weighted = Convolution | TransposedConvolution | Affine
INT32 = 2**31
_LONGEST_SHIFT = 31  # to the right, of a library's requantisation
_SECOND_HALF = 2**30  # what double rounding adds before its first shift (docs/integer-contract.md)


@dataclass(frozen=True)
class Parameter:
    """One array: what its name ends in, its C type, its values and what they are."""

    suffix: str
    ctype: str
    values: np.ndarray
    meaning: str


def own(step: Weighted, program: Program) -> list[Parameter]:
    """Return a step's parameters as edgebn's arithmetic has them: int8 (docs/integer-contract.md) or float32."""
    del program
    e = step.epilogue
    parameters = [] if isinstance(step, Affine) else [_weights(step.weight, "weights")]
    channels = "output channel"
    if isinstance(e, FloatEpilogue):
        return [
            *parameters,
            Parameter("bias", "float", e.bias, f"({len(e.bias)},): added to the sum of products, per {channels}"),
            Parameter("a", "float", e.a, f"({len(e.a)},): gamma / sqrt(variance + epsilon)"),
            Parameter("d", "float", e.d, f"({len(e.d)},): beta - mean * a"),
        ]
    count = len(e.m)
    parameters += [
        Parameter("bias", "int32_t", e.acc_bias, f"({count},): what the accumulator begins with, the input's zero point inside"),
        Parameter("multiplier", "int32_t", e.m, f"({count},): m, signed"),
        Parameter("shift", "uint8_t", e.s, f"({count},): s, to the right"),
        Parameter("offset", "int64_t", e.r, f"({count},): r, rounding and the batch norm's shift"),
    ]
    if np.any(e.lo != -INT32) or np.any(e.hi != INT32 - 1):
        parameters += [
            Parameter("low", "int32_t", e.lo, f"({count},): lower clip bound of the accumulator"),
            Parameter("high", "int32_t", e.hi, f"({count},): upper clip bound of the accumulator"),
        ]
    return parameters


def _weights(weight: np.ndarray, suffix: str) -> Parameter:
    ctype = {"float32": "float", "int16": "int16_t"}.get(weight.dtype.name, "int8_t")
    return Parameter(suffix, ctype, weight, f"{weight.shape}: output channels, kernel rows, columns, input channels (OHWI)")


def cmsis_nn(step: Weighted, program: Program) -> list[Parameter]:
    """Return a step's parameters as CMSIS-NN takes them; `cmsis_nn_per_channel_quant_params` holds the last two."""
    return _library(step, program, ("multiplier", "shift"))


def tflm(step: Weighted, program: Program) -> list[Parameter]:
    """Return a step's parameters as TensorFlow Lite Micro's integer kernels take them; the last two are fields of `OpDataConv`."""
    return _library(step, program, ("per_channel_output_multiplier", "per_channel_output_shift"))


OWN_LAYOUT = "edgebn"
LAYOUTS: dict[str, Callable[[Weighted, Program], list[Parameter]]] = {OWN_LAYOUT: own, "cmsis-nn": cmsis_nn, "tflm": tflm}


def _library(step: Weighted, program: Program, fields: tuple[str, str]) -> list[Parameter]:
    """Return weights, int32 bias, Q31 multipliers and shifts (to the left where positive).

    Raises
    ------
    ModelError
        A channel that this form cannot hold; the message says which and why.
    """
    if isinstance(step, Affine):
        raise ModelError(f"{step.name}: a batch norm of its own has no kernel in CMSIS-NN or TFLM; use layout='edgebn'")
    if isinstance(step.epilogue, FloatEpilogue):
        raise ModelError(
            f"{step.name}: CMSIS-NN and TFLM layouts are for int8 networks; quantise the model, or use layout='edgebn'"
        )
    if step.weight.dtype == np.int16:
        raise ModelError(f"{step.name}: its uint8 weights less their zero point do not fit int8; use layout='edgebn'")
    quantised = [_channel(step, step.epilogue, channel) for channel in range(len(step.weight))]
    negated = np.array([channel.negated for channel in quantised])
    weight = np.where(negated[:, None, None, None], -step.weight.astype(np.int16), step.weight).astype(np.int8)
    zero_point = program.buffers[step.inputs[0]].zero_point
    bias = [
        _bias(step, channel.bias - (zero_point if channel.negated else -zero_point) * int(total), weight[i], i)
        for i, (channel, total) in enumerate(
            zip(quantised, step.weight.reshape(len(weight), -1).sum(axis=1, dtype=int), strict=True)
        )
    ]
    count = len(weight)
    if step.groups > 1 and step.groups == count:
        depthwise = weight[:, :, :, 0].transpose(1, 2, 0)[None]
        weights = Parameter("weights", "int8_t", depthwise, f"{depthwise.shape}: 1, kernel rows, columns, channels (1HWO)")
    else:
        weights = _weights(weight, "weights")
    multipliers, shifts = ([getattr(channel, field) for channel in quantised] for field in ("multiplier", "shift"))
    return [
        weights,
        Parameter("bias", "int32_t", np.array(bias, np.int32), f"({count},): for inputs less their zero point"),
        Parameter("multiplier", "int32_t", np.array(multipliers, np.int32), f"({count},): {fields[0]}, in units of 2**-31"),
        Parameter("shift", "int32_t", np.array(shifts, np.int32), f"({count},): {fields[1]}, to the left where positive"),
    ]


@dataclass(frozen=True)
class _Channel:
    """A channel as libraries hold it; `bias` in accumulator units, still with the input's zero point folded in."""

    bias: int
    multiplier: int
    shift: int
    negated: bool  # weights and bias change their sign, so that the multiplier is positive


def _channel(step: Convolution | TransposedConvolution, e: IntEpilogue, channel: int) -> _Channel:
    def refused(reason: str) -> ModelError:
        return ModelError(f"{step.name}: channel {channel} {reason}; use layout='edgebn', whose offset has 64 bits")

    m, r, s = int(e.m[channel]), int(e.r[channel]), int(e.s[channel])
    if int(e.lo[channel]) != -INT32 or int(e.hi[channel]) != INT32 - 1:
        raise refused("is clipped before its batch norm, which these libraries cannot do")
    if m == 0:
        raise refused("has a multiplier of zero (gamma is zero), so that no bias can shift it")
    negated = m < 0
    if negated and np.any(step.weight[channel] == -128):
        raise refused("has a negative multiplier and a weight of -128, which has no opposite in int8")
    rest = r - 2 ** (s - 1)  # what r adds beside rounding once
    shift_by = 31 - abs(m).bit_length()
    multiplier, shift = abs(m) << shift_by, 31 - s - shift_by
    if shift < 0 and rest == _SECOND_HALF and m >= _SECOND_HALF:
        rest = 0  # the library rounds twice itself
    if not -_LONGEST_SHIFT <= shift <= 30:
        raise refused(f"needs a shift by {shift}, beyond -31..30")
    bias = (2 * rest + m) // (2 * m)  # the nearest whole number of accumulator units
    acc_bias = int(e.acc_bias[channel])
    return _Channel((-acc_bias - bias) if negated else acc_bias + bias, multiplier, shift, negated)


def _bias(step: Convolution | TransposedConvolution, bias: int, weight: np.ndarray, channel: int) -> int:
    reach = abs(bias) + 255 * int(np.abs(weight.astype(int)).sum())
    if reach >= INT32:
        raise ModelError(
            f"{step.name}: channel {channel} needs a bias of {bias:,}, with which a 32-bit accumulator can overflow (a small "
            "multiplier under a large shift of the batch norm); use layout='edgebn', whose offset has 64 bits"
        )
    return bias
