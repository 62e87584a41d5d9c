"""Convolution, dense and transposed convolution, with epilogue and fused pool. Knows nothing of packing or halos.

Sums of products are taken in float64 and converted once: to float32 for float32 values, and for codes to int64, which is exact
because every partial sum is an integer below 2**53 (2**15 * 2**8 * taps).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.program import Convolution, FloatEpilogue, IntEpilogue, TransposedConvolution, holds_codes
from edgebn.reference.epilogue import float_epilogue, int_epilogue
from edgebn.reference.pooling import float_windows, int_windows, windows

if TYPE_CHECKING:
    from edgebn.reference import Operands


def convolution(step: Convolution, operands: Operands) -> np.ndarray:
    """out[y, x, o] = epilogue(sum over i, j, c of weight[o, i, j, c] * in[y * stride + i * dilation - top, ..., c])."""
    (value,), (buffer,) = operands.values, operands.inputs
    padding_reads = buffer.zero_point if holds_codes(buffer) else 0
    out_channels, kh, kw, per_group = step.weight.shape
    seen = windows(value, (kh, kw), step.strides, step.dilations, step.padding, padding_reads)  # (OH, OW, I, kh, kw)
    oh, ow = seen.shape[:2]
    seen = seen.reshape(oh * ow, step.groups, per_group, kh, kw).transpose(1, 0, 3, 4, 2)  # (groups, OH * OW, kh, kw, I / groups)
    left = seen.reshape(step.groups, oh * ow, -1).astype(np.float64)
    right = step.weight.reshape(step.groups, out_channels // step.groups, -1).astype(np.float64)
    acc = np.matmul(left, right.transpose(0, 2, 1))  # (groups, OH * OW, O / groups)
    acc = acc.transpose(1, 0, 2).reshape(oh, ow, out_channels)
    out = _epilogue(acc, step.epilogue, operands)
    if step.pool is None:
        return out
    return float_windows(out, step.pool) if out.dtype == np.float32 else int_windows(out, step.pool, operands.output.zero_point)


def transposed_convolution(step: TransposedConvolution, operands: Operands) -> np.ndarray:
    """Scatter every input pixel: out[y * stride + i * dilation - top, ..., o] += weight[o, i, j, c] * in[y, x, c].

    int8: a tap that meets no input pixel reads the input's zero point, so that `acc_bias` is the same for every output pixel.
    """
    (value,), (buffer,) = operands.values, operands.inputs
    zero_point = buffer.zero_point if holds_codes(buffer) else 0
    out_channels, kh, kw, per_group = step.weight.shape
    height, width, _ = value.shape
    weight = step.weight.reshape(step.groups, out_channels // step.groups, kh, kw, per_group).astype(np.float64)
    centred = (value.astype(np.float64) - zero_point).reshape(height, width, step.groups, per_group)
    (sy, sx), (dy, dx) = step.strides, step.dilations
    full_height = (height - 1) * sy + dy * (kh - 1) + 1 + step.output_padding[0]
    full_width = (width - 1) * sx + dx * (kw - 1) + 1 + step.output_padding[1]
    acc = np.zeros((full_height, full_width, out_channels))
    for i in range(kh):
        for j in range(kw):
            tap = np.einsum("yxgc,goc->yxgo", centred, weight[:, :, i, j]).reshape(height, width, out_channels)
            acc[i * dy : i * dy + (height - 1) * sy + 1 : sy, j * dx : j * dx + (width - 1) * sx + 1 : sx] += tap
    top, left, bottom, right = step.padding
    acc = acc[top : full_height - bottom, left : full_width - right]
    acc = acc + zero_point * weight.sum(axis=(2, 3, 4)).reshape(out_channels)
    return _epilogue(acc, step.epilogue, operands)


def _epilogue(acc: np.ndarray, epilogue: FloatEpilogue | IntEpilogue, operands: Operands) -> np.ndarray:
    if isinstance(epilogue, IntEpilogue):
        acc = acc.astype(np.int64)
    if operands.watch is not None:
        operands.watch(acc)
    return (
        int_epilogue(acc, epilogue, operands.output.dtype) if isinstance(epilogue, IntEpilogue) else float_epilogue(acc, epilogue)
    )
