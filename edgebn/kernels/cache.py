"""Where compiled kernels are kept between processes. Knows nothing of what they do.

Numba's own cache does not notice an edited intrinsic in another module, so the folder's name is a hash of everything that the
machine code depends on.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba

from edgebn.kernels.isa import SELECTED
from edgebn.kernels.version import sources


def version() -> str:
    """Return a hash of the kernels' sources, the compiler, Python, the CPU and the instruction set."""
    digest = hashlib.sha256()
    python = sys.implementation.cache_tag or sys.version
    for fact in (python, sources(), numba.__version__, llvmlite.__version__, llvm.get_host_cpu_name(), SELECTED.name):
        digest.update(fact.encode() + b"\0")
    return digest.hexdigest()[:16]


def _candidates() -> list[Path]:
    """Return the folders to try, best first: Numba's where the user set one, the user's cache, then a private temporary one."""
    folders = []
    if os.environ.get("NUMBA_CACHE_DIR"):
        folders.append(Path(os.environ["NUMBA_CACHE_DIR"]) / "edgebn")
    home = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # no home at all: the temporary folder remains
        folders.append((Path(home) if home else Path.home() / ".cache") / "edgebn")
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # the last on Windows, whose environment may name nobody
        user = str(os.getpid())
    folders.append(Path(tempfile.gettempdir()) / f"edgebn-{user}")
    return folders


def _is_private(folder: Path) -> bool:
    """Whether nobody else can write into `folder`: machine code is loaded from it."""
    if not hasattr(os, "getuid"):
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def folder() -> Path | None:
    """Return a writable folder for this version, made if need be, or None where nothing is writable."""
    for base in _candidates():
        place = base / version()
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
            if not (_is_private(base) and _is_private(place)):
                continue
            with tempfile.TemporaryFile(dir=place):
                return place
        except OSError:
            continue
    return None


def write_once(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all, unless it is there: several processes may start at once."""
    data = text.encode()
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
