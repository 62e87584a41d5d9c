"""Write a folder of text files whole or not at all. Knows nothing of C."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from boards.tidy import temporary_folder, undisturbed
from edgebn.errors import ModelError

MANIFEST = "edgebn_files.json"  # what we wrote here, so that the next time only that is replaced


def write_files(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Write `files` (path in the folder to text) and return their names, sorted, the manifest included.

    Everything is written beside the folder first and moved in when it is complete. Files of an earlier call that are no longer
    made are removed; files of other origin stay.

    Raises
    ------
    ModelError
        A file that is not ours would be overwritten, or `folder` is a file.
    OSError
        The disk or the folder refused; nothing has changed.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder} is a file; give a folder to write to")
    ours = _earlier(folder)
    foreign = [name for name in files if name not in ours and (folder / name).exists()]
    if foreign:
        raise ModelError(
            f"{folder / foreign[0]} was not written by edgebn and would be overwritten; move it, or choose another folder"
        )
    names = tuple(sorted([*files, MANIFEST]))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(f".{folder.name}.", folder.parent) as temporary:
        staging = temporary / "made"
        for name, text in {**files, MANIFEST: json.dumps(names, indent=1) + "\n"}.items():
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        with undisturbed():
            if not folder.exists():
                staging.rename(folder)
                return names
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / name).replace(folder / name)
            for name in ours.difference(names):
                (folder / name).unlink(missing_ok=True)
    return names


def _earlier(folder: Path) -> set[str]:
    """Return the files of an earlier call, as its manifest says: none but plain paths inside the folder."""
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    listed = names if isinstance(names, list) else []
    inside = {name for name in listed if isinstance(name, str) and ".." not in Path(name).parts and not Path(name).is_absolute()}
    return inside | {MANIFEST}
