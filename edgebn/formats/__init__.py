"""One reader a format; `read` picks it by the file's content, or by its suffix where the content has no mark.

Readers are imported when a file needs them, so that no package but NumPy is needed before.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebn.errors import ModelError, UsageError
from edgebn.quick_dataclass import dataclass

if TYPE_CHECKING:  # a program's file is loaded through this package too, and needs no graph
    from edgebn.graph import Graph


@dataclass(frozen=True)
class _Format:
    module: str
    suffixes: tuple[str, ...]
    options: tuple[str, ...]


_FORMATS = {
    "Keras": _Format("edgebn.formats.keras", (".h5", ".hdf5", ".keras"), ("custom_layers", "input_shape")),
    "ONNX": _Format("edgebn.formats.onnx", (".onnx",), ("input_shape",)),
    "TensorFlow Lite": _Format("edgebn.formats.tflite", (".tflite", ".lite"), ("input_shape",)),
    "PyTorch": _Format("edgebn.formats.torch", (".pt2",), ()),
}

_HINTS = {
    ".pb": "convert the SavedModel to TensorFlow Lite or ONNX first",
    ".pt": "export it first: torch.export.save(torch.export.export(module, (example,)), 'model.pt2'), or use edgebn.from_torch",
    ".pth": "export it first: torch.export.save(torch.export.export(module, (example,)), 'model.pt2'), or use edgebn.from_torch",
    ".json": "it holds the network without its weights; save the whole model with model.save()",
    ".edgebn": "it holds a program, which edgebn.load reads",
}


def read(path: str | Path, **options: Any) -> Graph:
    """Read a model file into a graph.

    Parameters
    ----------
    path : path
        .h5 or .keras, .onnx, .tflite, .pt2.
    **options
        What the format's reader takes: `input_shape` (Keras, ONNX, TensorFlow Lite), `custom_layers` (Keras).

    Returns
    -------
    Graph
        The network as the file says it.

    Raises
    ------
    ModelError
        The file is missing, empty, a folder, of no known format or damaged, or its reader takes no such option.
    UnsupportedLayerError
        It holds a layer that edgebn does not run.
    """
    path = Path(path)
    name = _format_of(path)
    form = _FORMATS[name]
    for option in options:
        if option not in form.options:
            raise UsageError(f"{path}: {option}= means nothing for a {name} file; leave it out")
    return import_module(form.module).read(path, **options)


def takes(path: str | Path, option: str) -> bool:
    """Whether the reader of a file takes an option, or what is made of its graph (`states`); a native file takes none.

    Raises
    ------
    ModelError
        As `read`, of a file that no reader can have.
    """
    path = Path(path)
    return path.suffix != ".edgebn" and option in (*_FORMATS[_format_of(path)].options, "states")


def _format_of(path: Path) -> str:
    try:
        if path.is_dir():
            raise ModelError(f"{path}: a folder, not a model file; convert a SavedModel to TensorFlow Lite or ONNX first")
        with path.open("rb") as stream:
            head = stream.read(16)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise ModelError(f"{path}: the file cannot be opened ({error})") from None
    if not head:
        raise ModelError(f"{path}: the file is empty; save or download the model again")
    marked = _by_content(path, head)
    if marked is not None:
        return marked
    suffix = path.suffix.lower()
    for name, form in _FORMATS.items():
        if suffix in form.suffixes:
            return name
    hint = _HINTS.get(suffix, "edgebn reads .h5, .keras, .onnx, .tflite, .pt2 and .edgebn files")
    raise ModelError(f"{path}: of no format that edgebn knows; {hint}")


def _by_content(path: Path, head: bytes) -> str | None:
    """Return the format that the first bytes give away; None where they tell nothing (ONNX has no mark)."""
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "Keras"
    if head[4:8] == b"TFL3":
        return "TensorFlow Lite"
    if head.startswith(b"PK") and path.suffix.lower() not in (".keras", ".pt2"):
        import zipfile

        try:
            with zipfile.ZipFile(path) as archive:
                return "Keras" if "config.json" in archive.namelist() else None
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return None
    return None
