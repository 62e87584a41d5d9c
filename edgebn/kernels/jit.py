"""How kernels are compiled. Compilation itself happens once, in the executor that calls them.

No kernel may let LLVM reorder or contract float32 arithmetic: what it would reorder depends on how often a function has passed its
optimiser, so a process that has just compiled, one that loads the cache and one that loads an ahead-of-time object would differ in
the last bits. A multiply-add that is rounded once is written as one (`vectors.fused_multiply_add`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

# Kernels are called by the executor alone, so they need no wrappers for Python and C.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

kernel: Callable[..., Any] = njit(**OPTIONS)
