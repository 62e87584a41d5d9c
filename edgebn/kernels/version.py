"""One hash of the kernels' sources, so that machine code made from others is never run. Knows no compiler."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path


@functools.cache
def sources() -> str:
    """Return the hash of every file of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.relative_to(Path(__file__).parent).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
