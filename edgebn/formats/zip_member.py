"""Reads one member of a zip archive in memory, and JSON, within bounds: what readers of archives share.

Knows no format; the caller says what the file is and turns `ZIP_ERRORS` and ValueError into its own words.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from typing import Any

from edgebn.errors import ModelError

# Beyond this size a member may not be packed tighter than this: trained weights hardly shrink, bombs do.
SMALL_MEMBER_BYTES = 16 << 20
MAX_RATIO = 50

# What zipfile raises for damaged archives.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError, KeyError)


def read_member(archive: zipfile.ZipFile, name: str, limit: int, source: str) -> bytes:
    """Unpack one member, never more than `limit` bytes, whatever size it declares.

    Raises
    ------
    ModelError
        It is packed in an unusual way, or would unpack to too much.
    """
    entry = archive.getinfo(name)
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelError(f"{source}: {name} is packed in a way that no exporter uses; save the model again")
    bomb = entry.file_size > SMALL_MEMBER_BYTES and entry.file_size > MAX_RATIO * entry.compress_size
    if entry.file_size > limit or bomb:
        raise ModelError(
            f"{source}: {name} would unpack to {entry.file_size} bytes from {entry.compress_size}; edgebn reads at most {limit}"
        )
    with archive.open(entry) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ModelError(f"{source}: {name} unpacks to more than {limit} bytes")
    return data


def to_json(text: str, max_depth: int) -> Any:
    """Parse JSON whose lists and tables nest at most `max_depth` deep.

    Raises
    ------
    ValueError
        It is no JSON.
    RecursionError
        It is nested deeper than later walks could follow.
    """
    parsed = json.loads(text)
    level = [parsed]
    for _ in range(max_depth):
        inside: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inside.extend(value.values())
            elif isinstance(value, list):
                inside.extend(value)
        if not inside:
            return parsed
        level = inside
    raise RecursionError
