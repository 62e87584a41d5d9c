"""Names that nothing has yet."""

from __future__ import annotations

from collections.abc import Container


def unused_name(base: str, *taken: Container[str]) -> str:
    """Return `base`, numbered where something has it already: base/2, base/3, ..."""
    name, count = base, 1
    while any(name in names for names in taken):
        count += 1
        name = f"{base}/{count}"
    return name
