"""How kernels are compiled: one decorator for each kind. Compilation itself happens once, in the executor that calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

# Kernels are called by the executor alone, so they need no wrappers for Python and C.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# Exact: integer kernels, and float32 conversions whose every bit is specified.
kernel: Callable[..., Any] = njit(**OPTIONS)

# float32 sums, whose order is free: may be reordered and contracted. The contract test bounds their error.
sum_kernel: Callable[..., Any] = njit(**OPTIONS, fastmath={"reassoc", "contract", "nsz"})
