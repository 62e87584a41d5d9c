"""The metadata of a TensorFlow Lite file: normalisation and colours of its input, and the labels that are packed behind it.

Fields are those of `metadata_schema.fbs` of tflite-support, by their numbers in it; the file is walked without its generated code.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from edgebn.errors import ModelError
from edgebn.formats.tflite.flatbuffer import DAMAGE, MAX_FILE_BYTES
from edgebn.formats.zip_member import ZIP_ERRORS, read_member
from edgebn.preparation.data import Classes, Picture, Preparation

KEY = b"TFLITE_METADATA"
MAX_LABEL_BYTES = 1 << 20
MAX_ENTRIES = 10_000  # entries of a list that is no damage

# Fields of tables, and members of unions and enumerations.
MODEL_BUFFERS, MODEL_METADATA = 4, 6
ENTRY_NAME, ENTRY_BUFFER = 0, 1
BUFFER_DATA = 0
SUBGRAPHS = 3
GRAPH_INPUTS, GRAPH_OUTPUTS = 2, 3
TENSOR_CONTENT, TENSOR_UNITS, TENSOR_FILES = 3, 4, 6
CONTENT_KIND, CONTENT_VALUE, CONTENT_IMAGE = 0, 1, 2
IMAGE_COLOURS = 0
COLOURS = {1: "rgb", 2: "grey"}
UNIT_KIND, UNIT_VALUE, UNIT_NORMALIZATION = 0, 1, 1
NORMALIZATION_MEAN, NORMALIZATION_DEVIATION = 0, 1
FILE_NAME, FILE_KIND, FILE_LABELS = 0, 2, 2


class Table:
    """A table of a flatbuffer; a field that is not there reads as nothing."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def _field(self, number: int) -> int | None:
        """Return where a field stands."""
        fields = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        if fields < 0 or 4 + 2 * number >= struct.unpack_from("<H", self.data, fields)[0]:
            return None
        offset: int = struct.unpack_from("<H", self.data, fields + 4 + 2 * number)[0]
        return self.at + offset if offset else None

    def _follow(self, number: int) -> int | None:
        at = self._field(number)
        return None if at is None else at + int(struct.unpack_from("<I", self.data, at)[0])

    def byte(self, number: int) -> int:
        """Return a number of one byte."""
        at = self._field(number)
        return 0 if at is None else self.data[at]

    def whole(self, number: int) -> int:
        """Return a number of four bytes."""
        at = self._field(number)
        return 0 if at is None else int(struct.unpack_from("<I", self.data, at)[0])

    def table(self, number: int) -> Table | None:
        """Return a table inside."""
        at = self._follow(number)
        return None if at is None else Table(self.data, at)

    def _vector(self, number: int) -> tuple[int, int]:
        at = self._follow(number)
        if at is None:
            return 0, 0
        return at + 4, int(struct.unpack_from("<I", self.data, at)[0])

    def tables(self, number: int) -> list[Table]:
        """Return a list of tables."""
        at, count = self._vector(number)
        places = range(at, at + 4 * min(count, MAX_ENTRIES), 4)
        return [Table(self.data, place + int(struct.unpack_from("<I", self.data, place)[0])) for place in places]

    def floats(self, number: int) -> tuple[float, ...]:
        """Return a list of float32 numbers."""
        at, count = self._vector(number)
        return struct.unpack_from(f"<{min(count, MAX_ENTRIES)}f", self.data, at)

    def content(self, number: int) -> bytes:
        """Return bytes, or text in UTF-8."""
        at, count = self._vector(number)
        return bytes(self.data[at : at + count])


def said(path: Path) -> Preparation | None:
    """Return what the metadata says; None where there is none, or it is damaged."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        data = path.read_bytes()
        found = _metadata(data) if KEY in data else None
        graphs = found.tables(SUBGRAPHS) if found else []
        if not graphs:
            return None
        inputs, outputs = graphs[0].tables(GRAPH_INPUTS), graphs[0].tables(GRAPH_OUTPUTS)
        names = _labels(path, outputs[0]) if len(outputs) == 1 else ()
        picture = _picture(inputs[0]) if len(inputs) == 1 else None
    except (*DAMAGE, *ZIP_ERRORS, ModelError):
        return None
    return Preparation(picture, Classes(names) if names else None) if picture or names else None


def _metadata(data: bytes) -> Table | None:
    """Return the root of the metadata, a flatbuffer inside a buffer of the file's."""
    model = Table(data, struct.unpack_from("<I", data)[0])
    for entry in model.tables(MODEL_METADATA):
        if entry.content(ENTRY_NAME) == KEY:
            inner = model.tables(MODEL_BUFFERS)[entry.whole(ENTRY_BUFFER)].content(BUFFER_DATA)
            return Table(inner, struct.unpack_from("<I", inner)[0])
    return None


def _picture(tensor: Table) -> Picture | None:
    """Return how pixels from 0 to 255 become the input: real = (pixel - mean) / deviation."""
    content = tensor.table(TENSOR_CONTENT)
    if content is None or content.byte(CONTENT_KIND) != CONTENT_IMAGE:
        return None
    image = content.table(CONTENT_VALUE)
    colours = COLOURS.get(image.byte(IMAGE_COLOURS), "rgb") if image else "rgb"
    for unit in tensor.tables(TENSOR_UNITS):
        options = unit.table(UNIT_VALUE)
        if unit.byte(UNIT_KIND) == UNIT_NORMALIZATION and options is not None:
            mean, deviation = options.floats(NORMALIZATION_MEAN), options.floats(NORMALIZATION_DEVIATION)
            if len(mean) == len(deviation) and 0.0 not in deviation:
                offset = tuple(-m / d for m, d in zip(mean, deviation, strict=True))
                return Picture(colours, scale=tuple(1 / d for d in deviation), offset=offset)
    return None


def _labels(path: Path, tensor: Table) -> tuple[str, ...]:
    """Return the lines of the output's file of labels, which stands in a zip archive behind the flatbuffer."""
    for entry in tensor.tables(TENSOR_FILES):
        if entry.byte(FILE_KIND) == FILE_LABELS:
            name = entry.content(FILE_NAME).decode()
            with zipfile.ZipFile(path) as archive:
                lines = read_member(archive, name, MAX_LABEL_BYTES, str(path)).decode().splitlines()
            return tuple(line.strip() for line in lines)
    return ()
