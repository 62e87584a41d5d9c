"""The head of every emitted file: its licence, and which edgebn made it. Text only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from edgebn import __version__

LICENSE = "MIT"  # of the kernels and of everything around them: see LICENSE. Whoever ships a project may

_LINES = (f"SPDX-License-Identifier: {LICENSE}", f"Made by edgebn {__version__}")
_BLOCK = "".join(f"/* {line} */\n" for line in _LINES)
_HASH = "".join(f"# {line}\n" for line in _LINES)
_MARKUP = "".join(f"<!-- {line} -->\n" for line in _LINES)
_SEMICOLON = "".join(f"; {line}\n" for line in _LINES)
_HEADS = {
    ".c": _BLOCK,
    ".h": _BLOCK,
    ".ld": _BLOCK,
    ".ino": _BLOCK,
    ".cpp": _BLOCK,
    ".cmake": _HASH,
    ".properties": _HASH,
    ".yml": _HASH,
    ".yaml": _HASH,
    ".conf": _HASH,
    ".defaults": _HASH,
    ".ini": _SEMICOLON,
    ".md": _MARKUP,
}
_NAMED = {"Makefile": _HASH, "CMakeLists.txt": _HASH, "Kconfig": _HASH}
_BARE = frozenset({".json", ".pdsc"})  # no comments before anything else: such a file says both further down


def stamped(files: Mapping[str, str]) -> dict[str, str]:
    """Return files (path to text) with their heads; a kind of file that has none here is a KeyError."""
    return {path: _head(path) + text for path, text in files.items()}


def _head(path: str) -> str:
    name = PurePosixPath(path)
    return "" if name.suffix in _BARE else _NAMED.get(name.name) or _HEADS[name.suffix]
