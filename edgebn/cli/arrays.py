"""Reads arrays from .npy, .npz and raw .bin files that may be damaged or hostile. It knows nothing of models."""

from __future__ import annotations

import ast
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from edgebn.errors import ModelError

MAX_BYTES = 1 << 31  # of one array: larger is a damaged header or not meant for a small board

MAX_HEADER_BYTES = 1 << 12

# What struct, ast, NumPy and zipfile raise on damaged files.
_DAMAGE = (
    ValueError,
    SyntaxError,
    TypeError,
    EOFError,
    KeyError,
    RuntimeError,  # an encrypted archive; a header nested too deeply
    NotImplementedError,  # an archive compressed in an unknown way
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Header:
    """What a .npy header says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(path: Path) -> np.ndarray:
    """Return the array of a .npy file.

    Raises
    ------
    ModelError
        The file is damaged, too large, or holds Python objects.
    """
    with path.open("rb") as file:
        return _read(file, path.stat().st_size, str(path))


class Archive:
    """A .npz file: the headers of its arrays at once, their numbers when asked for.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    headers : dict of str to Header
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.headers: dict[str, Header] = {}
        with path.open("rb") as file:
            try:
                with zipfile.ZipFile(file) as archive:
                    for entry in archive.infolist():
                        if entry.filename.endswith(".npy"):
                            with archive.open(entry) as member:
                                self.headers[entry.filename[:-4]] = _header(member, entry.file_size)
            except _DAMAGE as error:
                raise ModelError(f"{path} is damaged or no .npz file: {error}") from None
        if not self.headers:
            raise ModelError(f"{path} holds no array; write it with numpy.savez")

    def read(self, key: str) -> np.ndarray:
        """Return the array called `key`.

        Raises
        ------
        ModelError
            There is no such array, or it is damaged.
        """
        if key not in self.headers:
            raise ModelError(f"{self.path} has no array '{key}'; it has {self.listing()}")
        with zipfile.ZipFile(self.path) as archive:
            entry = archive.getinfo(f"{key}.npy")
            with archive.open(entry) as member:  # opened once before, for its header
                return _read(member, entry.file_size, f"{self.path} ({key})")

    def listing(self) -> str:
        """Return the arrays' names and shapes, for messages."""
        return ", ".join(f"{name} {header.shape}" for name, header in self.headers.items())


def read_bin(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return raw little-endian numbers as (N, *shape).

    Raises
    ------
    ModelError
        The file's size is no multiple of one sample's.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    sample = math.prod(shape) * kind.itemsize
    size = path.stat().st_size
    if size == 0 or size % sample:
        raise ModelError(
            f"{path} has {size} bytes, which is no multiple of the {sample} bytes of one {dtype} input of shape {shape}; "
            "check --dtype and the file"
        )
    return np.fromfile(path, kind).reshape(-1, *shape).astype(np.dtype(dtype), copy=False)


def _header(file: IO[bytes], size: int) -> Header:
    """Read a .npy header and check that `size` bytes of file can hold what it promises.

    NumPy's own reader is not used: on damaged headers it warns and raises the tokenizer's errors.
    """
    magic, major, _ = struct.unpack("<6sBB", file.read(8))
    if magic != b"\x93NUMPY" or major not in (1, 2):
        raise ValueError("it does not begin as a .npy array of format 1 or 2 does")
    (length,) = struct.unpack("<H", file.read(2)) if major == 1 else struct.unpack("<I", file.read(4))
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header is {length} bytes long")
    fields = ast.literal_eval(file.read(length).decode("latin-1").strip())
    shape, descr, fortran_order = fields["shape"], fields["descr"], fields["fortran_order"]
    if not isinstance(descr, str) or np.dtype(descr).kind not in "biuf":
        raise ValueError(f"it holds values of type {descr}, not plain numbers")
    if not isinstance(shape, tuple) or not all(isinstance(extent, int) and extent >= 0 for extent in shape):
        raise ValueError(f"its header gives the shape {shape!r}")
    header = Header(shape, np.dtype(descr), bool(fortran_order))
    if header.nbytes > min(size, MAX_BYTES):
        raise ValueError(f"its header promises shape {shape} of {descr}, more than the file holds")
    return header


def _read(file: IO[bytes], size: int, what: str) -> np.ndarray:
    try:
        header = _header(file, size)
        values = np.frombuffer(file.read(header.nbytes), header.dtype)
        return values.reshape(header.shape, order="F" if header.fortran_order else "C")
    except _DAMAGE as error:
        raise ModelError(f"{what} is damaged or no .npy array: {error}") from None
