"""The native file, .edgebn: one safetensors file that holds a `Program`. Needs NumPy only.

The metadata holds the format version, the program as JSON with tensor names for arrays, and a SHA-256 over the whole file, taken
with zeros in the place of its own digits: no byte can change unseen.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats import quick_json
from edgebn.formats.program_codec import decode, encode
from edgebn.formats.tensor_file import pack, unpack
from edgebn.program import Program
from edgebn.program_check import check_program

FORMAT_VERSION = 1
SMALL = 1 << 18  # bytes that the interpreter's own SHA-256 takes less time for than it takes to load a library of hashes
MAX_FILE_BYTES = 384 << 20

_FORMAT = "edgebn program"
_NO_DIGEST = "0" * 64
# In the header's JSON an unescaped quote before the key can only be this metadata entry.
_DIGEST_KEY = b'"sha256":"'

# What people read, not what the network computes: no part of its hash.
_NOT_HASHED = ("name", "source", "format", "channels_first", "records", "channel_factors", "input_scaling", "preparation")


def save(program: Program, path: Path) -> None:
    """Write `program` to `path`, whole or not at all: a temporary file beside it is renamed once it is on the disk.

    Parameters
    ----------
    program : Program
    path : Path
        Ends in .edgebn by custom.

    Raises
    ------
    OSError
        The folder is missing, full or not writable; a file that stood there before is untouched.
    """
    from edgebn.formats.whole_file import write_whole

    write_whole(Path(path), to_bytes(program))


def load(path: Path) -> Program:
    """Read the program that `save` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Program
        Equal to the one saved, arrays bit for bit.

    Raises
    ------
    ModelError
        The file is missing, damaged, changed after it was saved, or written by a newer edgebn.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB, so no program for a small board")
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise ModelError(f"{path}: the file cannot be read ({error})") from None
    return from_bytes(data, str(path))


def to_bytes(program: Program) -> bytes:
    """Return the content of the file that holds `program`."""
    tensors: dict[str, np.ndarray] = {}
    names: dict[int, str] = {}

    def store(array: np.ndarray, name: str) -> dict[str, str]:
        # Arrays that two places share are stored once, and shared again after loading.
        tensors.setdefault(names.setdefault(id(array), name), array)
        return {"tensor": names[id(array)]}

    import json

    description = json.dumps(encode(program, store, "program"), separators=(",", ":"), allow_nan=False)
    metadata = {"format": _FORMAT, "version": str(FORMAT_VERSION), "sha256": _NO_DIGEST, "program": description}
    data = pack(tensors, metadata)
    digest = _sha256(data).encode()
    start = data.index(_DIGEST_KEY) + len(_DIGEST_KEY)
    return data[:start] + digest + data[start + len(digest) :]


def from_bytes(data: bytes, source: str) -> Program:
    """Return the program in a file's content; `source` names it in messages."""
    tensors, metadata = unpack(data, source)
    if metadata.get("format") != _FORMAT:
        raise ModelError(f"{source}: a safetensors file without an edgebn program in it; write it with edgebn.save")
    _check_digest(data, metadata.get("sha256", ""), source)
    version = metadata.get("version", "")
    if not version.isdecimal() or len(version) > 6 or int(version) < 1:
        raise ModelError(f"{source}: its format version '{version[:20]}' is no number; save the model again")
    if int(version) > FORMAT_VERSION:
        raise ModelError(
            f"{source}: written in format {version} by a newer edgebn, and this one reads up to {FORMAT_VERSION}; "
            "upgrade it with: pip install --upgrade edgebn"
        )
    try:
        program = decode(quick_json.loads(metadata.get("program", "")), tensors)
        check_program(program)
        _check_records(program)
    except (ValueError, RecursionError):
        raise ModelError(f"{source}: its description is not JSON; save the model again") from None
    except ModelError as error:
        raise ModelError(f"{source}: {error}; save the model again") from None
    return program


def _check_records(program: Program) -> None:
    """Check what few programs have, and no other start imports the checks of."""
    if program.adaptation is not None:
        from edgebn.formats.adaptation_check import check_adaptation

        check_adaptation(program)
    if program.preparation is not None:
        from edgebn.preparation.check import check_preparation

        check_preparation(program)


def program_hash(program: Program) -> str:
    """Return a SHA-256 over what the network computes: steps, buffers, weights; not over its name, file or records.

    Returns
    -------
    str
        64 hexadecimal digits, the same on every machine and before and after saving.
    """

    def store(array: np.ndarray, _: str) -> dict[str, Any]:
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        return {"dtype": little.dtype.str, "shape": list(array.shape), "sha256": _sha256(little.tobytes())}

    import json

    tree = encode(program, store)
    kept = {key: value for key, value in tree.items() if key not in _NOT_HASHED}
    return _sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode())


def _sha256(data: bytes) -> str:
    modules = ("_sha2", "_sha256", "hashlib") if len(data) <= SMALL else ("hashlib",)  # since Python 3.12, before, and always
    for name in modules:
        try:
            return str(importlib.import_module(name).sha256(data).hexdigest())
        except ImportError:  # of an interpreter without its own
            continue
    raise AssertionError("every Python has hashlib")


def _check_digest(data: bytes, stated: str, source: str) -> None:
    start = data.find(_DIGEST_KEY) + len(_DIGEST_KEY)
    restored = data[:start] + _NO_DIGEST.encode() + data[start + len(_NO_DIGEST) :]
    if data[start : start + len(stated)] != stated.encode() or _sha256(restored) != stated:
        raise ModelError(
            f"{source}: the file was changed or damaged after it was saved (its SHA-256 does not match); "
            "copy it again from its origin, or save the model again"
        )
