"""Accumulators to outputs (docs/integer-contract.md): where batch norm, requantisation and activation happen. Knows no geometry."""

from __future__ import annotations

import numpy as np

from edgebn.program import FloatEpilogue, IntEpilogue


def float_epilogue(acc: np.ndarray, e: FloatEpilogue) -> np.ndarray:
    """Clip(clip(acc + bias, pre) * a + d, post) in float32; acc (..., channels) float64 is rounded to float32 first."""
    u = np.clip(acc.astype(np.float32) + e.bias, np.float32(e.pre[0]), np.float32(e.pre[1]))
    return np.clip(u * e.a + e.d, np.float32(e.post[0]), np.float32(e.post[1]))


def int_epilogue(acc: np.ndarray, e: IntEpilogue, dtype: str = "int8") -> np.ndarray:
    """Return codes of a type; acc (..., channels) int64 holds sum(w * q) without `acc_bias`. Every operation is exact in int64."""
    u = np.clip(acc + e.acc_bias.astype(np.int64), e.lo.astype(np.int64), e.hi.astype(np.int64))
    negative_rounding = np.where(u < 0, np.int64(2**31 if e.neg else 0), 0)
    y = (u * e.m.astype(np.int64) + e.r - negative_rounding) >> e.s.astype(np.int64)  # arithmetic shift: floor
    return np.clip(e.zero_point + y, e.qmin, e.qmax).astype(dtype)
