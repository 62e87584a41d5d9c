"""The metadata of a TensorFlow Lite file: normalisation and colours of its input, and the labels that are packed behind it.

Its schema is `metadata_schema.fbs` of tflite-support, of which this has what it reads.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edgebn.errors import ModelError
from edgebn.formats.tflite.flatbuffer import DAMAGE, MAX_FILE_BYTES
from edgebn.formats.tflite.schema import MODEL
from edgebn.formats.tflite.tables import Schema, Table

if TYPE_CHECKING:
    from edgebn.preparation.data import Picture, Preparation

KEY = b"TFLITE_METADATA"
MAX_LABEL_BYTES = 1 << 20
MAX_ENTRIES = 10_000  # entries of a list that is no damage

# Tables' fields up to the last that is read, and members of unions and enumerations.
METADATA = Schema({
    "ModelMetadata": "name:string description:string version:string subgraph_metadata:[SubGraphMetadata]",
    "SubGraphMetadata": (
        "name:string description:string input_tensor_metadata:[TensorMetadata] output_tensor_metadata:[TensorMetadata]"
    ),
    "TensorMetadata": (
        "name:string description:string dimension_names:[Text] content:Content process_units:[ProcessUnit] stats:Stats "
        "associated_files:[AssociatedFile]"
    ),
    "Content": "content_properties_type:ubyte content_properties:union",
    "ImageProperties": "color_space:byte",
    "ProcessUnit": "options_type:ubyte options:union",
    "NormalizationOptions": "mean:[float] std:[float]",
    "AssociatedFile": "name:string description:string type:byte",
})  # fmt: skip
IMAGE, NORMALIZATION, LABELS = 2, 1, 2
COLOURS = {1: "rgb", 2: "grey"}


def said(path: Path) -> Preparation | None:
    """Return what the metadata says; None where there is none, or it is damaged."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    if KEY not in data:
        return None
    # Most files have no metadata, and archives are a long import.
    from edgebn.formats.zip_member import ZIP_ERRORS
    from edgebn.preparation.data import Classes, Preparation

    try:
        found = _metadata(data)
        if found is None or not len(found.subgraph_metadata):
            return None
        graph = found.subgraph_metadata[0]
        inputs, outputs = graph.input_tensor_metadata, graph.output_tensor_metadata
        names = _labels(path, outputs[0]) if len(outputs) == 1 else ()
        picture = _picture(inputs[0]) if len(inputs) == 1 else None
    except (*DAMAGE, *ZIP_ERRORS, ModelError):
        return None
    return Preparation(picture, Classes(names) if names else None) if picture or names else None


def _metadata(data: bytes) -> Table | None:
    """Return the root of the metadata, a flatbuffer inside a buffer of the file's."""
    model = MODEL.root("Model", data)
    for entry in islice(model.metadata, MAX_ENTRIES):
        if entry.name == KEY:
            return METADATA.root("ModelMetadata", model.buffers[entry.buffer].data.tobytes())
    return None


def _picture(tensor: Table) -> Picture | None:
    """Return how pixels from 0 to 255 become the input: real = (pixel - mean) / deviation."""
    from edgebn.preparation.data import Picture

    content = tensor.content
    if content is None or content.content_properties_type != IMAGE:
        return None
    image = content.content_properties
    colours = COLOURS.get(image.read_as("ImageProperties").color_space, "rgb") if image is not None else "rgb"
    for unit in islice(tensor.process_units, MAX_ENTRIES):
        if unit.options_type == NORMALIZATION and unit.options is not None:
            options = unit.options.read_as("NormalizationOptions")
            mean, deviation = options.mean[:MAX_ENTRIES].tolist(), options.std[:MAX_ENTRIES].tolist()
            if len(mean) == len(deviation) and 0.0 not in deviation:
                offset = tuple(-m / d for m, d in zip(mean, deviation, strict=True))
                return Picture(colours, scale=tuple(1 / d for d in deviation), offset=offset)
    return None


def _labels(path: Path, tensor: Table) -> tuple[str, ...]:
    """Return the lines of the output's file of labels, which stands in a zip archive behind the flatbuffer."""
    import zipfile

    from edgebn.formats.zip_member import read_member

    for entry in islice(tensor.associated_files, MAX_ENTRIES):
        if entry.type == LABELS:
            name = (entry.name or b"").decode()
            with zipfile.ZipFile(path) as archive:
                lines = read_member(archive, name, MAX_LABEL_BYTES, str(path)).decode().splitlines()
            return tuple(line.strip() for line in lines)
    return ()
