"""The safetensors layout in plain NumPy: eight bytes of header length, a JSON header, raw tensors without gaps.

Layout: https://github.com/huggingface/safetensors#format. Knows bytes and arrays only, nothing of programs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats import quick_json

MAX_HEADER_BYTES = 16 << 20
_LENGTH_BYTES = 8
_ALIGNMENT = 8

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}


def pack(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return a file's bytes.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Integers, floats or truth values, of any shape.
    metadata : mapping of str to str
    """
    # Wide elements first, so that every tensor starts at a multiple of its element.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, offset = [], 0
    for name in names:
        array = tensors[name]
        raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        code = _CODES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [offset, offset + len(raw)]}
        parts.append(raw)
        offset += len(raw)
    import json

    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + b"".join(parts)


def unpack(data: bytes, source: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors and the metadata of a file.

    Parameters
    ----------
    data : bytes
        The whole file.
    source : str
        Its name, for messages.

    Raises
    ------
    ModelError
        The layout is broken: lengths, names, types, shapes or offsets that do not fit the bytes.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    body = _LENGTH_BYTES + length
    if len(data) < _LENGTH_BYTES or length > MAX_HEADER_BYTES or body > len(data):
        raise _damaged(source, "its header is longer than the file, or the file is none of edgebn's")
    try:
        header = quick_json.loads(data[_LENGTH_BYTES:body].decode("utf-8"))
    except (ValueError, RecursionError):
        raise _damaged(source, "its header is not JSON") from None
    metadata = header.pop("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(source, "its metadata is no table of texts")
    tensors, end = {}, 0
    spans = sorted(_span(name, entry, source) for name, entry in header.items())
    for start, stop, name in spans:
        if start != end:
            raise _damaged(source, f"tensor '{name}' overlaps another or leaves a gap")
        end = stop
        tensors[name] = _tensor(name, header[name], memoryview(data)[body + start : body + stop], source)
    if body + end != len(data):
        raise _damaged(source, "its tensors end before or after the file does")
    return tensors, metadata


def _span(name: str, entry: Any, source: str) -> tuple[int, int, str]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(offset) is int for offset in offsets)):
        raise _damaged(source, f"tensor '{name}' does not say where it is")
    start, stop = offsets
    if not 0 <= start <= stop:
        raise _damaged(source, f"tensor '{name}' ends before it begins")
    return start, stop, name


def _tensor(name: str, entry: dict[str, Any], raw: memoryview, source: str) -> np.ndarray:
    dtype, shape = _DTYPES.get(str(entry.get("dtype"))), entry.get("shape")
    if dtype is None or not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise _damaged(source, f"tensor '{name}' has no known type or shape")
    if len(shape) > 16 or math.prod(shape) * np.dtype(dtype).itemsize != len(raw):
        raise _damaged(source, f"tensor '{name}' does not fit its bytes")
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def _damaged(source: str, reason: str) -> ModelError:
    return ModelError(f"{source}: not a whole .edgebn file ({reason}); save the model again")
