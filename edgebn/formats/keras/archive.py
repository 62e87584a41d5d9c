"""Opens a Keras file, .h5 or .keras, and gives its configuration, its Keras version and its weights.

A .keras archive is unpacked in memory only, each member up to a fixed size. Knows nothing of layers or graphs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebn.errors import ModelError
from edgebn.formats.keras.hdf5 import MAX_ATTRIBUTE_BYTES, File, open_bytes, open_path
from edgebn.formats.keras.weights import ArchiveWeights, LegacyWeights, Weights
from edgebn.formats.zip_member import ZIP_ERRORS, read_member, to_json

MAX_CONFIG_BYTES = MAX_ATTRIBUTE_BYTES
# Braces and brackets within each other; sixteen models within models need about 100.
MAX_CONFIG_DEPTH = 150
MAX_WEIGHT_BYTES = 1 << 30
MAX_MEMBERS = 4096

ZIP_MAGIC = b"PK\x03\x04"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Contents:
    """What a Keras file holds.

    Attributes
    ----------
    model : Any
        The model's serialised configuration, as JSON gives it: {"class_name": ..., "config": ...}.
    version : tuple of int
        Keras' major and minor version; (2, 0) where the file does not say.
    weights : Weights
    """

    model: Any
    version: tuple[int, int]
    weights: Weights


@contextmanager
def opened(path: Path) -> Iterator[Contents]:
    """Open a Keras file by its content, whatever its suffix."""
    try:
        with path.open("rb") as stream:
            head = stream.read(len(HDF5_MAGIC))
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise ModelError(f"{path}: the file cannot be opened ({error})") from None
    if head.startswith(ZIP_MAGIC):
        with _opened_archive(path) as contents:
            yield contents
    else:
        with open_path(path) as file:
            yield _legacy_contents(file)


def _legacy_contents(file: File) -> Contents:
    config = file.attribute("model_config")
    if config is None:
        raise ModelError(
            f"{file.source}: the file holds no model configuration, so it is weights only; save the whole model with model.save()"
        )
    group = "model_weights" if file.has("model_weights") else ""
    stated = file.attribute("keras_version") or file.attribute("keras_version", group)
    version = _version(stated[0] if stated else "", file.source)
    return Contents(_parsed(config[0], file.source), version, LegacyWeights(file, group))


@contextmanager
def _opened_archive(path: Path) -> Iterator[Contents]:
    source = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if len(names) > MAX_MEMBERS:
                raise ModelError(f"{source}: the archive has {len(names)} members; a Keras model has a handful")
            if "config.json" not in names:
                raise ModelError(f"{source}: the archive has no config.json, so it is not a Keras model")
            config = read_member(archive, "config.json", MAX_CONFIG_BYTES, source)
            metadata = read_member(archive, "metadata.json", MAX_CONFIG_BYTES, source) if "metadata.json" in names else b"{}"
            if "model.weights.h5" not in names:
                raise ModelError(f"{source}: the archive has no model.weights.h5; save the model unsharded with model.save()")
            image = read_member(archive, "model.weights.h5", MAX_WEIGHT_BYTES, source)
    except ZIP_ERRORS as error:
        raise ModelError(f"{source}: the archive cannot be unpacked ({error}); save the model again") from None
    stated = _parsed(metadata.decode("utf-8", "replace"), source)
    version = stated.get("keras_version", "") if isinstance(stated, dict) else ""
    model = _parsed(config.decode("utf-8", "replace"), source)
    with open_bytes(image, source) as file:
        yield Contents(model, _version(str(version), source), ArchiveWeights(file))


def _parsed(text: str, source: str) -> Any:
    if len(text) > MAX_CONFIG_BYTES:
        raise ModelError(f"{source}: its configuration is {len(text)} characters long; edgebn reads at most {MAX_CONFIG_BYTES}")
    try:
        return to_json(text, MAX_CONFIG_DEPTH)
    except ValueError as error:
        reason = str(error)[:120]
        raise ModelError(f"{source}: its configuration is not JSON ({reason}); the file is damaged, save the model again") from None
    except RecursionError:
        raise ModelError(f"{source}: its configuration is nested too deeply for a network; the file is damaged") from None


def _version(stated: str, source: str) -> tuple[int, int]:
    parts = stated.split(".")
    if not parts[0].isdecimal() or len(parts[0]) > 3:
        return (2, 0)
    minor = parts[1] if len(parts) > 1 and parts[1].isdecimal() and len(parts[1]) <= 4 else "0"
    major = int(parts[0])
    if major < 2:
        raise ModelError(f"{source}: the file was written by Keras {stated[:20]}; load and save it with Keras 2 or 3 first")
    return major, int(minor)
