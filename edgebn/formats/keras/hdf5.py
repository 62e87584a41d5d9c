"""Guarded access to HDF5: every library error becomes a `ModelError`, and nothing is read before its size is known.

Knows HDF5 only: nothing of Keras, of layers or of graphs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.hdf5_strings import ReadBytes, stored_strings

# Trained numbers in one file: VGG has 138 million; more than 1 GB of float32 is damage or hostility.
MAX_WEIGHTS = 1 << 28
# Names and configurations kept in attributes.
MAX_ATTRIBUTE_ELEMENTS = 1 << 16
MAX_ATTRIBUTE_BYTES = 4 << 20

_MAX_ITEM_BYTES = 16
# Elements that HDF5 may allocate for one chunk, whatever the size of the array.
_SMALL_CHUNK = 1 << 22

# What h5py raises for a damaged file: the C library's errors arrive as any of these.
_LIBRARY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


@dataclass(frozen=True)
class Dataset:
    """One stored array, not read yet.

    Attributes
    ----------
    path : str
        Inside the file, for messages.
    shape : tuple of int
    """

    file: File
    handle: Any
    path: str
    shape: tuple[int, ...]

    def read(self) -> np.ndarray:
        """Return the array as float32; other floats are converted, codes of a quantised model refused."""
        source = self.file.source
        with _translated(source, f"'{self.path}'"):
            dtype, size = self.handle.dtype, int(np.prod(self.shape, dtype=object))
            if dtype.kind != "f" or dtype.itemsize > _MAX_ITEM_BYTES:
                raise ModelError(
                    f"{source}: '{self.path}' is stored as {dtype}, not as floating-point numbers; save the model in float32"
                )
            self.file.spend(size, self.path)
            if math.prod(self.handle.chunks or ()) > max(size, _SMALL_CHUNK):
                raise ModelError(f"{source}: '{self.path}' is stored in chunks larger than itself; the file is damaged")
            if self.handle.is_virtual or self.handle.external or (size and not self.handle.id.get_storage_size()):
                raise ModelError(f"{source}: '{self.path}' holds no data in this file; save the whole model again")
            with np.errstate(over="ignore", invalid="ignore"):
                return np.asarray(self.handle[()]).astype(np.float32)


@dataclass
class File:
    """An open HDF5 file.

    Attributes
    ----------
    source : str
        The file's name, for messages.
    root : h5py.File
    raw : callable
        (position, count) -> the file's own bytes there.
    spent : int
        How many numbers were read so far.
    """

    source: str
    root: Any
    raw: ReadBytes
    spent: int = field(default=0)

    def spend(self, size: int, path: str) -> None:
        """Count `size` numbers against what one file may hold."""
        self.spent += size
        if self.spent > MAX_WEIGHTS:
            raise ModelError(
                f"{self.source}: '{path}' brings the weights to {self.spent} numbers; edgebn reads at most {MAX_WEIGHTS}"
            )

    def attribute(self, name: str, group: str = "") -> list[str] | None:
        """Return the strings of an attribute of `group` (one or many), or None where there is no such attribute."""
        import h5py

        with _translated(self.source, f"attribute '{name}'"):
            owner = self._descend(group)
            if owner is None or name not in owner.attrs:
                return None
            stored = owner.attrs.get_id(name)
            elements = int(np.prod(stored.shape or (), dtype=object))
            if elements > MAX_ATTRIBUTE_ELEMENTS or elements * stored.dtype.itemsize > MAX_ATTRIBUTE_BYTES:
                raise ModelError(f"{self.source}: attribute '{name}' declares {elements} elements; the file is damaged")
            if not elements:
                return []
            if h5py.check_string_dtype(stored.dtype) is None:  # HDF5 itself does not survive every other type
                raise ModelError(f"{self.source}: attribute '{name}' should be text; the file is damaged")
            if stored.dtype.kind == "O":
                header = h5py.h5o.get_info(owner.id).addr
                strings = stored_strings(self.raw, header, name, elements)
                if strings is None:
                    raise ModelError(f"{self.source}: the text of attribute '{name}' is not in the file; save the model again")
                return [text.decode("utf-8", errors="replace") for text in strings]
            value = owner.attrs[name]
            values = value.ravel().tolist() if isinstance(value, np.ndarray) else [value]
            return [_text(item, self.source, name) for item in values]

    def has(self, path: str) -> bool:
        """Whether a group or dataset of that path is stored in this file."""
        with _translated(self.source, f"'{path}'"):
            return self._descend(path) is not None

    def members(self, group: str) -> list[str]:
        """Return the names in a group, none where there is no such group."""
        with _translated(self.source, f"'{group}'"):
            owner = self._descend(group)
            return sorted(owner) if owner is not None and hasattr(owner, "keys") else []

    def dataset(self, path: str) -> Dataset | None:
        """Return the dataset at `path`, unread, or None where there is none."""
        import h5py

        with _translated(self.source, f"'{path}'"):
            found = self._descend(path)
            if found is None:
                return None
            if not isinstance(found, h5py.Dataset) or found.shape is None:
                raise ModelError(f"{self.source}: '{path}' should be an array; the file is damaged")
            return Dataset(self, found, path, tuple(int(size) for size in found.shape))

    def _descend(self, path: str) -> Any:
        """Walk hard links only: soft and external links could lead out of the file or round in circles."""
        import h5py

        place = self.root
        for part in path.split("/"):
            if not part:
                continue
            if not isinstance(place, h5py.Group) or part not in place:
                return None
            if not isinstance(place.get(part, getlink=True), h5py.HardLink):
                raise ModelError(f"{self.source}: '{path}' is a link to elsewhere; save the whole model into one file")
            place = place[part]
        return place


@contextmanager
def open_path(path: Path) -> Iterator[File]:
    """Open an HDF5 file on disk."""
    import h5py

    with _translated(str(path), "the file"):
        stream = path.open("rb")
    with stream:
        size = path.stat().st_size

        def raw(position: int, count: int) -> bytes:
            stream.seek(min(position, size))
            return stream.read(min(count, size))

        with _translated(str(path), "the file"):
            root = h5py.File(path, "r", locking=False)
        with root:
            yield File(str(path), root, raw)


@contextmanager
def open_bytes(image: bytes, source: str) -> Iterator[File]:
    """Open an HDF5 file held in memory."""
    import h5py

    with _translated(source, "its weights"):
        root = h5py.File(h5py.h5f.open_file_image(image))
    with root:
        yield File(source, root, lambda position, count: image[position : position + count])


@contextmanager
def _translated(source: str, what: str) -> Iterator[None]:
    try:
        yield
    except _LIBRARY_ERRORS as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{source}: {what} cannot be read ({reason}); the file is damaged, save the model again") from None


def _text(value: Any, source: str, name: str) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        raise ModelError(f"{source}: attribute '{name}' should be text; the file is damaged")
    return value
