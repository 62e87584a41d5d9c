"""Builds of one run of the tests that are the same are made once: the program that the same files and flags gave before is copied.

Everything that a build depends on is in its key but the compiler itself, which stays the same meanwhile. Failures are not kept.
"""

import dataclasses
import hashlib
import inspect
import os
import shutil
from pathlib import Path

from boards import toolchain


def remembering(build, kept: Path):
    """Return `toolchain.build` that looks into the folder `kept` first; workers may share it."""

    def remembered(board, sources, folder, **options):
        sources = list(sources)
        given = inspect.signature(build).bind(board, sources, folder, **options)
        given.apply_defaults()
        settings = given.arguments
        include, flags = list(settings["include"]), list(settings["flags"])
        key = hashlib.sha256()
        for text in (dataclasses.asdict(board), sorted(board.project_files().items()), flags, settings["optimization"]):
            key.update(repr(text).encode())
        for path in (*sources, *(path for place in (*include, *{source.parent for source in sources}) for path in headers(place))):
            key.update(path.name.encode())
            key.update(path.read_bytes())
        target, found = folder / settings["program"], kept / key.hexdigest()
        if found.exists() and toolchain.has_compiler(board):
            toolchain.write_project(board, folder / "board")  # which makes the folder
            shutil.copy(found, target)
            return target
        built = build(board, sources, folder, **{**options, "include": include, "flags": flags})
        unfinished = found.with_suffix(f".{os.getpid()}")
        shutil.copy(built, unfinished)
        unfinished.replace(found)
        return built

    return remembered


def headers(folder: Path) -> list[Path]:
    """Return the headers that a source may include from `folder`, and its parts that are included as text."""
    return sorted(path for path in folder.rglob("*") if path.suffix in {".h", ".inc"})
