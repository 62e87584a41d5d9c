"""Opens a .pt2 archive without PyTorch: the JSON of the exported program, and its weights as arrays.

Nothing is ever unpickled: a pickle can run any code. The format is documented as "PT2 Archive Spec" at
https://docs.pytorch.org/docs/main/export/pt2_archive.html. Knows nothing of operators or layers.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.zip_member import ZIP_ERRORS, read_member, to_json

MAX_JSON_BYTES = 1 << 26
MAX_JSON_DEPTH = 150
MAX_MEMBER_BYTES = 1 << 29
MAX_MEMBERS = 1 << 14
MAX_WEIGHT_AXES = 8
MAX_WEIGHT_ELEMENTS = 1 << 27  # of one weight: VGG has some of 103 million
MAX_ELEMENTS = 2 * MAX_WEIGHT_ELEMENTS  # of all weights together; strides of 0 cost a file nothing
ABSURD = 1 << 40

MODEL_SUFFIX = "models/model.json"
AGAIN = "export it again with torch.export.save"
# How PyTorch 2.8 and older stored weights: as pickles.
OLD_MEMBERS = ("serialized_exported_program.json", "data/weights/model.pt")

# PyTorch's numbers for element types (torch/_export/serde/schema.py, ScalarType).
FLOAT32 = 7
TRUTH, UINT8 = 12, 1
INTEGERS = (4, 5)  # int32 and int64
NARROW = (UINT8, 2, 3)  # whole numbers of fewer bits
DTYPES = {UINT8: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", FLOAT32: "<f4", 8: "<f8", TRUTH: "|b1"}
BFLOAT16 = 13
FLOATING = (6, FLOAT32, 8, BFLOAT16)


@dataclass
class Archive:
    """An opened archive.

    Attributes
    ----------
    source : str
        For messages.
    program : dict
        The exported program as JSON gives it.
    """

    source: str
    program: dict[str, Any]
    _zip: zipfile.ZipFile
    _root: str
    _entries: dict[str, tuple[str, Any]]  # weight name -> (folder, PayloadMeta)
    _members: dict[str, bytes] = field(default_factory=dict)
    _elements: int = 0

    def array(self, name: str) -> np.ndarray:
        """Return the weight, buffer or constant `name`; bfloat16 becomes float32.

        Raises
        ------
        ModelError
            It is missing, pickled, of a type edgebn does not read, or larger than the bytes behind it.
        """
        if name not in self._entries:
            raise ModelError(f"{self.source}: the archive holds no weight '{name}'; the file is damaged, {AGAIN}")
        folder, meta = self._entries[name]
        try:
            return self._array(name, folder, meta)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"the weight '{name}' contradicts itself ({type(error).__name__}: {error})"
            raise ModelError(f"{self.source}: {reason}; the file is damaged, {AGAIN}") from None

    def _array(self, name: str, folder: str, meta: Any) -> np.ndarray:
        if meta["use_pickle"]:
            raise ModelError(
                f"{self.source}: the weight '{name}' is stored as a pickle, which edgebn does not open because a pickle can run "
                "any code; turn tensor subclasses into plain tensors before the export"
            )
        tensor = meta["tensor_meta"]
        shape = tuple(_plain_int(size) for size in tensor["sizes"])
        strides = tuple(_plain_int(stride) for stride in tensor["strides"])
        offset = _plain_int(tensor["storage_offset"])
        code = tensor["dtype"]
        if code != BFLOAT16 and code not in DTYPES:
            raise ModelError(f"{self.source}: the weight '{name}' has element type {code}, which edgebn does not read; use float32")
        dtype = np.dtype("<u2" if code == BFLOAT16 else DTYPES[code])
        elements = 1
        for size in shape:
            elements *= size
        if len(shape) > MAX_WEIGHT_AXES or min(shape, default=1) < 0 or elements > ABSURD:
            raise ModelError(f"{self.source}: the weight '{name}' has shape {shape}, which is absurd; the file is damaged, {AGAIN}")
        self._elements += elements
        if elements > MAX_WEIGHT_ELEMENTS:
            raise ModelError(
                f"{self.source}: the weight '{name}' of shape {shape} holds more than {MAX_WEIGHT_ELEMENTS} numbers; "
                "edgebn runs networks for small boards"
            )
        if self._elements > MAX_ELEMENTS:
            raise ModelError(
                f"{self.source}: its weights hold more than {MAX_ELEMENTS} numbers; edgebn runs networks for small boards"
            )
        data = self._member(f"{folder}{meta['path_name']}")
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if min(strides, default=0) < 0 or offset < 0 or (elements and (last + 1) * dtype.itemsize > len(data)):
            reason = f"the weight '{name}' is larger than the {len(data)} bytes stored"
            raise ModelError(f"{self.source}: {reason}; the file is damaged, {AGAIN}")
        if not elements:
            return np.zeros(shape, np.float32)
        flat = np.frombuffer(data, dtype, len(data) // dtype.itemsize)[offset:]
        steps = tuple(stride * dtype.itemsize for stride in strides)
        array = np.lib.stride_tricks.as_strided(flat, shape, steps, writeable=False).copy()
        if code == BFLOAT16:  # the upper half of a float32
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array

    def _member(self, name: str) -> bytes:
        if name not in self._members:
            self._members[name] = _read(self._zip, f"{self._root}{name}", MAX_MEMBER_BYTES, self.source)
        return self._members[name]


@contextmanager
def open_archive(stream: Path | IO[bytes], source: str) -> Iterator[Archive]:
    """Open an archive that is a file or in memory.

    Raises
    ------
    ModelError
        It is no .pt2 archive, damaged, of an older PyTorch, or holds something other than one exported program.
    """
    try:
        archive = zipfile.ZipFile(stream)
    except ZIP_ERRORS as error:
        raise ModelError(f"{source}: not a .pt2 archive ({error}); {AGAIN}") from None
    with archive:
        yield _opened(archive, source)


def _opened(archive: zipfile.ZipFile, source: str) -> Archive:
    names = archive.namelist()
    if len(names) > MAX_MEMBERS:
        raise ModelError(f"{source}: the archive has {len(names)} members; an exported program has one a weight")
    models = [name for name in names if "models/" in name and name.endswith(".json")]
    roots = [name.removesuffix(MODEL_SUFFIX) for name in models if name.endswith(MODEL_SUFFIX)]
    old = any(name.endswith(OLD_MEMBERS) for name in names)
    if old:
        raise ModelError(
            f"{source}: its weights are pickles, as PyTorch 2.8 and older wrote them, and a pickle can run any code; "
            f"{AGAIN} of PyTorch 2.9 or newer"
        )
    if len(models) != 1 or len(roots) != 1:
        raise ModelError(f"{source}: the archive holds {len(models)} exported programs; edgebn reads one, named 'model': {AGAIN}")
    root = roots[0]
    order = f"{root}byteorder"
    if order in names and _read(archive, order, 64, source).strip() != b"little":
        raise ModelError(f"{source}: its numbers are big-endian; {AGAIN} on another machine")
    program = _json(archive, f"{root}{MODEL_SUFFIX}", source)
    entries: dict[str, tuple[str, Any]] = {}
    for kind in ("weights", "constants"):
        folder = f"data/{kind}/"
        config = f"{root}{folder}model_{kind}_config.json"
        table = _json(archive, config, source).get("config") if config in names else {}
        if not isinstance(table, dict):
            raise ModelError(f"{source}: its table of {kind} is none; the file is damaged, {AGAIN}")
        entries.update({name: (folder, meta) for name, meta in table.items()})
    return Archive(source, program, archive, root, entries)


def _read(archive: zipfile.ZipFile, name: str, limit: int, source: str) -> bytes:
    try:
        return read_member(archive, name, limit, source)
    except ZIP_ERRORS as error:
        raise ModelError(f"{source}: {name} cannot be unpacked ({error}); the file is damaged, {AGAIN}") from None


def _json(archive: zipfile.ZipFile, name: str, source: str) -> dict[str, Any]:
    text = _read(archive, name, MAX_JSON_BYTES, source).decode("utf-8", "replace")
    try:
        parsed = to_json(text, MAX_JSON_DEPTH)
    except ValueError as error:
        raise ModelError(f"{source}: {name} is not JSON ({error}); the file is damaged, {AGAIN}") from None
    except RecursionError:
        raise ModelError(f"{source}: {name} is nested too deeply for a network; the file is damaged, {AGAIN}") from None
    if not isinstance(parsed, dict):
        raise ModelError(f"{source}: {name} holds no table; the file is damaged, {AGAIN}")
    return parsed


def _plain_int(size: Any) -> int:
    value = size["as_int"]
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value
