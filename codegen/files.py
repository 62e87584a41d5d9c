"""Write a folder of text files whole or not at all, and lose no work that people did in it. Knows nothing of C."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from boards.tidy import temporary_folder, undisturbed
from codegen.stamp import LICENSE
from edgebn import __version__
from edgebn.errors import ModelError

MANIFEST = "edgebn_files.json"  # what we wrote here, so that the next time only that is replaced


@dataclass(frozen=True)
class _Earlier:
    """What an earlier call wrote: each file's hash, None where its manifest had none, and what it was made for."""

    hashes: dict[str, str | None] = field(default_factory=dict)
    made_for: str | None = None


@dataclass(frozen=True)
class Written:
    """What is in a folder now.

    Attributes
    ----------
    names : tuple of str
        Files of ours, sorted, the manifest included.
    kept : tuple of str
        Those among them, and others, that people had edited and that were left as they are.
    """

    names: tuple[str, ...]
    kept: tuple[str, ...]


def write_files(folder: Path, files: Mapping[str, str], filled_in: Collection[str] = (), made_for: str | None = None) -> Written:
    """Write `files` (path in the folder to text).

    Everything is written beside the folder first and moved in when it is complete. Files of an earlier call that are no longer
    made are removed, unless somebody edited them; files of other origin stay.

    Parameters
    ----------
    folder : Path
    files : mapping of str to str
    filled_in : collection of str
        Files that people are meant to edit: an edited one is kept, as long as `made_for` is what it was.
    made_for : str, optional

    Raises
    ------
    ModelError
        A file that is not ours, or that was edited, would be overwritten; or `folder` is a file.
    OSError
        The disk or the folder refused; nothing has changed.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder} is a file; give a folder to write to")
    earlier = _earlier(folder)
    foreign = [name for name in files if name not in earlier.hashes and _exists(folder / name)]
    if foreign:
        raise ModelError(
            f"{folder / foreign[0]} was not written by edgebn and would be overwritten; move it, or choose another folder"
        )
    edited = {name for name, made in earlier.hashes.items() if made is not None and _hash_of(folder / name) not in (made, None)}
    hashes = {name: _hash(text) for name, text in files.items()}
    kept = {name for name in edited if name not in files or (name in filled_in and made_for == earlier.made_for)}
    lost = sorted(name for name in edited - kept if _hash_of(folder / name) != hashes[name])
    if lost:
        raise ModelError(
            f"{folder / lost[0]} was edited since edgebn wrote it and would be overwritten"
            f"{f', and so would {len(lost) - 1} more' if lost[1:] else ''}; move or delete it, or choose another folder"
        )
    names = tuple(sorted([*files, MANIFEST]))
    manifest = {"license": LICENSE, "edgebn": __version__, "made_for": made_for, "files": dict(sorted(hashes.items()))}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(f".{folder.name}.", folder.parent) as temporary:
        staging = temporary / "made"
        for name, text in {**files, MANIFEST: json.dumps(manifest, indent=1) + "\n"}.items():
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        with undisturbed():
            if not folder.exists():
                staging.rename(folder)
                return Written(names, ())
            for name in names:
                if name not in kept:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (staging / name).replace(folder / name)
            for name in set(earlier.hashes).difference(names, kept):
                (folder / name).unlink(missing_ok=True)
    return Written(names, tuple(sorted(kept)))


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _hash(text: str) -> str:
    """Return the hash of a text, whatever ends its lines: version control may have changed that."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def _hash_of(path: Path) -> str | None:
    """Return the hash of a file; None where there is none any more."""
    if not _exists(path):
        return None
    try:
        return _hash(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError):  # no text of ours
        return ""


def _earlier(folder: Path) -> _Earlier:
    """Return the files of an earlier call, as its manifest says: none but plain paths inside the folder."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _Earlier()
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        return _Earlier({MANIFEST: None})
    hashes = {
        name: made
        for name, made in found["files"].items()
        if isinstance(made, str) and ".." not in Path(name).parts and not Path(name).is_absolute()
    }
    made_for = found.get("made_for")
    return _Earlier({**hashes, MANIFEST: None}, made_for if isinstance(made_for, str) else None)
