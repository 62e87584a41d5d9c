"""The epilogue between int16 codes as C: its arrays and its literal. Knows no operation."""

from __future__ import annotations

import numpy as np

from codegen.emitters.text import struct
from codegen.stepcode import CArray, Names
from edgebn.program import IntEpilogue

MAX_MAGNITUDE = 1 << 15  # the largest magnitude of a code


def reach(epilogue: IntEpilogue, magnitudes: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of each channel's sum, its bias included; `magnitudes` are sums of those of the weights."""
    return np.abs(epilogue.acc_bias) + MAX_MAGNITUDE * np.asarray(magnitudes, np.int64)


def epilogue_s16(epilogue: IntEpilogue, most: np.ndarray, names: Names) -> tuple[str, tuple[CArray, ...]]:
    """Return the struct literal of an epilogue whose sums are at most `most`, and its arrays."""
    count = len(epilogue.m)
    sums = CArray(
        names.array("sums"),
        "int64_t",
        np.stack([epilogue.acc_bias, epilogue.r], axis=1),
        f"({count}, 2): bias and r of each channel",
    )
    scales = np.stack([epilogue.m.astype(np.int32), epilogue.s.astype(np.int32)], axis=1)
    arrays = [sums, CArray(names.array("scale"), "int32_t", scales, f"({count}, 2): m and s of each channel")]
    limits = None
    if (epilogue.lo > -most).any() or (epilogue.hi < most).any():
        limits = names.array("limits")
        arrays.append(
            CArray(limits, "int64_t", np.stack([epilogue.lo, epilogue.hi], axis=1), f"({count}, 2): lo and hi of each sum")
        )
    literal = struct(
        "edgebn_epilogue_s16", sums=sums.name, scales=arrays[1].name, limits=limits, neg=epilogue.neg, low=epilogue.qmin,
        high=epilogue.qmax,
    )  # fmt: skip
    return literal, tuple(arrays)
