"""What the CPU can do, in LLVM's names, asked without LLVM: reading it must cost a Pi nothing. Knows nothing of kernels."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path

# Linux' names of x86 features to LLVM's, where they differ or matter here.
X86_FLAGS = {"avx512_vnni": "avx512vnni", "avx_vnni": "avxvnni"}

# The bits that Linux hands every AArch64 process in its auxiliary vector.
HARDWARE_CAPABILITIES = 16
ARM64_BITS = {"neon": 1 << 1, "dotprod": 1 << 20}


def host_features() -> frozenset[str]:
    """Return LLVM's names of what this CPU, and the system on it, has; of AArch64 only those in `ARM64_BITS`."""
    if platform.machine() in ("aarch64", "arm64"):
        if sys.platform == "linux":
            return from_capabilities(_capabilities())
        if sys.platform == "darwin":  # every such machine ever sold has both
            return frozenset(ARM64_BITS)
    elif sys.platform == "linux":
        return from_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"))
    return _from_llvm()


def from_cpuinfo(text: str) -> frozenset[str]:
    """Return the features in the first `flags` line of an x86 /proc/cpuinfo; none where there is no such line."""
    line = next((line for line in text.splitlines() if line.startswith("flags")), ":")
    return frozenset(X86_FLAGS.get(flag, flag) for flag in line.partition(":")[2].split())


def from_capabilities(bits: int) -> frozenset[str]:
    """Return the features that an AArch64 process' hardware capabilities name."""
    return frozenset(name for name, bit in ARM64_BITS.items() if bits & bit)


def _capabilities() -> int:
    """Return the hardware capabilities; unlike /proc/cpuinfo they are right under an emulator too."""
    ask = ctypes.CDLL(None).getauxval
    ask.restype, ask.argtypes = ctypes.c_ulong, (ctypes.c_ulong,)
    return int(ask(HARDWARE_CAPABILITIES))


def _from_llvm() -> frozenset[str]:
    import llvmlite.binding as llvm

    return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)
