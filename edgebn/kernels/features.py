"""What the CPU can do, in LLVM's names, asked without LLVM: reading it must cost a Pi nothing. Knows nothing of kernels."""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from collections.abc import Callable, Mapping

# Linux' names of x86 features to LLVM's, where they differ or matter here.
X86_FLAGS = {"avx512_vnni": "avx512vnni", "avx_vnni": "avxvnni"}

NUMPY_NAMES = {"FMA3": "fma"}  # and otherwise LLVM's in capitals, where they matter here

# The bits that Linux hands every ARM process in its auxiliary vector, where it runs 64 and where it runs 32 bits: in two words, the
# second of which is counted from 64 here.
HARDWARE_CAPABILITIES = (16, 26)
ARM64_BITS = {"neon": 1 << 1, "dotprod": 1 << 20, "i8mm": 1 << 64 + 13}
ARM32_BITS = {"neon": 1 << 12, "vfp4": 1 << 16}
POINTER = ctypes.sizeof(ctypes.c_void_p)


def machine_of(system_says: str, pointer: int) -> str:
    """Return the kind of processor that a process sees, of pointers of so many bytes.

    A Python of 32 bits on a Raspberry Pi often has a kernel of 64, which names itself: it runs what ARMv7 does.
    """
    return "armv7l" if pointer == 4 and system_says in {"aarch64", "armv8l"} else system_says


@functools.cache
def machine() -> str:
    """Return the kind of processor, as `platform.machine()` has it, that this process sees."""
    return machine_of(platform.machine(), POINTER)


def host_features() -> frozenset[str]:
    """Return LLVM's names of what this CPU, and the system on it, has; of ARM only those in `ARM64_BITS` or `ARM32_BITS`."""
    if machine() in ("aarch64", "arm64"):
        if sys.platform == "linux":
            return from_capabilities(_capabilities(), ARM64_BITS)
        if sys.platform == "darwin":
            return from_macos(_macos_says)
    elif machine() in ("armv7l", "armv6l"):
        return from_capabilities(_capabilities(), ARM32_BITS)
    elif sys.platform == "linux":
        return from_cpuinfo(_first_processor())
    elif sys.platform == "win32" and machine() == "AMD64":
        return from_numpy(_numpy_features())
    return _from_llvm()


def _first_processor() -> str:
    """Return what Linux says of the first processor: all look alike, and servers have hundreds."""
    said = b""
    with open("/proc/cpuinfo", "rb", buffering=0) as file:  # noqa: PTH123  # every start does this, and paths take time
        while b"\n\n" not in said and (more := file.read(4096)):
            said += more
    return said.decode("latin-1")


def from_cpuinfo(text: str) -> frozenset[str]:
    """Return the features in the first `flags` line of an x86 /proc/cpuinfo; none where there is no such line."""
    line = next((line for line in text.splitlines() if line.startswith("flags")), ":")
    return frozenset(X86_FLAGS.get(flag, flag) for flag in line.partition(":")[2].split())


def from_numpy(known: Mapping[str, bool]) -> frozenset[str]:
    """Return the features of x86 that NumPy found, from the names that all its versions have for them."""
    return frozenset(NUMPY_NAMES.get(name, name.lower()) for name, present in known.items() if present)


def from_capabilities(bits: int, known: Mapping[str, int]) -> frozenset[str]:
    """Return those of the `known` features, by their bit, that an ARM process' hardware capabilities name."""
    return frozenset(name for name, bit in known.items() if bits & bit)


def from_macos(says: Callable[[str], bool]) -> frozenset[str]:
    """Return the features of one of Apple's processors: all ever sold have the first two, not the M1 the third."""
    return frozenset({"neon", "dotprod", *(["i8mm"] if says("hw.optional.arm.FEAT_I8MM") else [])})


def _macos_says(name: str) -> bool:
    """Whether macOS has a setting of that name which is not 0: before version 12 it has none for features."""
    value, size = ctypes.c_int(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    failed = ctypes.CDLL(None).sysctlbyname(name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
    return not failed and value.value != 0


def _capabilities() -> int:
    """Return both words of hardware capabilities; unlike /proc/cpuinfo they are right under an emulator too."""
    ask = ctypes.CDLL(None).getauxval
    ask.restype, ask.argtypes = ctypes.c_ulong, (ctypes.c_ulong,)
    return sum(int(ask(which)) << 64 * index for index, which in enumerate(HARDWARE_CAPABILITIES))


def _numpy_features() -> Mapping[str, bool]:
    """Return what NumPy chose its own kernels by: Windows has no names for most of it."""
    try:
        from numpy._core import _multiarray_umath as found  # type: ignore[attr-defined]  # NumPy names it nowhere
    except ImportError:  # NumPy 1
        from numpy.core import _multiarray_umath as found
    return found.__cpu_features__


def _from_llvm() -> frozenset[str]:
    import llvmlite.binding as llvm

    return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)
