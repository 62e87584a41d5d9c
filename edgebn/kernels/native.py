"""Loads the ahead-of-time object of the selected instruction set, with ctypes alone: no Numba and no LLVM in the process.

`aot.py` makes objects. An object's file name holds the hash of the kernels' sources: one made from other sources is not found,
and the JIT takes its place. `EDGEBN_OBJECTS` names another folder of objects; set to nothing, it turns them off.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

from edgebn.kernels import features, isa, version
from edgebn.quick_dataclass import dataclass

MANIFEST = "edgebn_manifest"  # a zero-terminated text in the object: a line a kernel (`line_of`)
ENTRY = "edgebn_run"
FAST_CALL = "edgebn_fast_call"  # the same for the fast call, as Python's built-in functions are called (`builtin_function.py`)
ARGUMENTS = 3  # of an entry, all int64
SEAL = b"edgebn object"  # at an object's end, before the checksum of all that stands before: the loader looks at neither
CHECKSUM = 4  # bytes
PIECE = 1 << 16  # bytes that are read at once: each is in memory that the last one was in

Signature = tuple[str, tuple[tuple[str, bool], ...]]  # a kernel's name and its arguments: (name, is_float)


@dataclass(frozen=True)
class Native:
    """A loaded object.

    Attributes
    ----------
    path : Path
    manifest : list of str
        A line for each kernel that it was built with, in the order of their codes.
    executor : callable
        See `executor.executor`.
    fast_call : int
        The address of its fast entry; see `executor.fast_call`. 0 where there is none: on processors of 32 bits.
    """

    path: Path
    manifest: list[str]
    executor: Callable[..., int]
    fast_call: int


def file_name(isa_name: str, machine: str, system: str) -> str:
    """Return the name of an object made from the present sources; `machine` as `features` has it, `system` as `platform` does."""
    return f"{system.lower()}-{machine.lower()}-{isa_name}-{version.sources()}.so"


def folder() -> Path | None:
    """Return where objects are looked for, or None where they are turned off."""
    wanted = os.environ.get("EDGEBN_OBJECTS")
    if wanted is None:
        return Path(__file__).parent / "objects"
    return Path(wanted) if wanted else None


def line_of(signature: Signature) -> str:
    """Return a kernel's line of the manifest: its name and its arguments', of which a * marks the float ones."""
    name, arguments = signature
    return " ".join([name, *("*" * real + argument for argument, real in arguments)])


def arguments_of(line: str) -> tuple[tuple[str, bool], ...]:
    """Return the arguments in a line of the manifest: (name, is_float)."""
    return tuple((word.removeprefix("*"), word.startswith("*")) for word in line.split(" ")[1:])


def sealed(data: bytes) -> bytes:
    """Return an object's bytes with the mark by which `is_whole` knows them."""
    return data + SEAL + zlib.crc32(data).to_bytes(CHECKSUM, "little")


def is_whole(path: Path) -> bool:
    """Whether an object is as it was built: to load one that is cut may end the process."""
    checksum = 0
    with path.open("rb", buffering=0) as file:
        left = max(os.fstat(file.fileno()).st_size - len(SEAL) - CHECKSUM, 0)
        while left and (data := file.read(min(left, PIECE))):
            checksum, left = zlib.crc32(data, checksum), left - len(data)
        return left == 0 and file.read() == SEAL + checksum.to_bytes(CHECKSUM, "little")


@functools.cache
def load() -> Native | None:
    """Return the object for this process, or None where there is none that fits."""
    place = folder()
    if place is None:
        return None
    path = place / file_name(isa.SELECTED.name, features.machine(), platform.system())
    if not path.exists():
        return None
    try:
        if not is_whole(path):
            warnings.warn(f"{path} is damaged: kernels are compiled instead, if they can be; install edgebn again", stacklevel=2)
            return None
        library = ctypes.CDLL(str(path))
    except OSError:  # of another C library, or on a file system that forbids execution: the JIT works there too
        return None
    text = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library, MANIFEST)))
    entry = library[ENTRY]
    entry.restype, entry.argtypes = ctypes.c_int64, (ctypes.c_int64,) * ARGUMENTS
    fast_call = ctypes.cast(library[FAST_CALL], ctypes.c_void_p).value if features.POINTER == 8 else None
    return Native(path, text.decode().splitlines(), entry, fast_call or 0)
