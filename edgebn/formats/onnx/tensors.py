"""TensorProto to ndarray, external data included. Knows nothing of nodes.

Sizes are checked before anything is allocated: the file may be damaged or hostile.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.onnx.values import check_elements


def to_array(tensor: Any, folder: Path | None) -> np.ndarray:
    """Return the array in a TensorProto.

    Parameters
    ----------
    tensor : onnx.TensorProto
    folder : Path or None
        Where external data may lie: beside the model file, nowhere else. None where the model has no file.

    Raises
    ------
    ModelError
        When the data is missing, of another size than its shape says, or of a type without an array.
    """
    from onnx import TensorProto, helper, numpy_helper

    what = f"the constant '{tensor.name}'"
    check_elements(tuple(tensor.dims), what)
    if tensor.data_location == TensorProto.EXTERNAL:
        return _external(tensor, folder, what)
    try:
        if tensor.HasField("raw_data"):
            expected = _byte_count(tensor, helper.tensor_dtype_to_np_dtype(tensor.data_type))
            if len(tensor.raw_data) != expected:
                raise ModelError(f"{what} holds {len(tensor.raw_data)} bytes, its shape needs {expected}; the file is damaged")
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{what} cannot be read ({error}); the file is damaged or uses a type that edgebn does not know") from None


def _byte_count(tensor: Any, dtype: np.dtype) -> int:
    from onnx import TensorProto

    elements = 1
    for size in tensor.dims:
        elements *= int(size)
    bits = {
        TensorProto.INT4: 4,
        TensorProto.UINT4: 4,
        TensorProto.FLOAT4E2M1: 4,
        getattr(TensorProto, "INT2", -1): 2,
        getattr(TensorProto, "UINT2", -2): 2,
    }.get(tensor.data_type, 8 * dtype.itemsize)
    return (elements * bits + 7) // 8


def _leaves_folder(location: str) -> bool:
    """Whether a name leads out of the folder it is looked up in, on any system.

    Only names are the file's to choose. A link in the folder is its owner's, and is followed: downloads are kept as links to them.
    """
    return any(kind(location).anchor or ".." in kind(location).parts for kind in (PurePosixPath, PureWindowsPath))


def _external(tensor: Any, folder: Path | None, what: str) -> np.ndarray:
    """Read data that lies in a file beside the model, and only there."""
    from onnx import helper

    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None or not location:
        raise ModelError(f"{what} keeps its data in another file, which is not given; save the model with its weights inside")
    if _leaves_folder(location):
        raise ModelError(
            f"{what} keeps its data in '{location}', outside the model's folder; save the model with its weights inside"
        )
    path = folder / location
    if not path.is_file():
        raise ModelError(f"{what} keeps its data in '{location}', which is not beside the model; copy that file there")
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
        offset = int(entries.get("offset") or 0)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{what} describes its data in '{location}' wrongly ({error}); the file is damaged") from None
    if dtype.hasobject:
        raise ModelError(f"{what} holds strings; edgebn runs numbers")
    expected = _byte_count(tensor, dtype)
    if offset < 0 or offset + expected > path.stat().st_size:
        raise ModelError(f"{what} needs {expected} bytes at {offset} of '{location}', which is shorter; the file is damaged")
    if expected != int(np.prod(tensor.dims, dtype=np.int64)) * dtype.itemsize:
        raise ModelError(f"{what} keeps packed numbers in '{location}'; save the model with its weights inside")
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(expected)
    except OSError as error:
        raise ModelError(f"{what} keeps its data in '{location}', which cannot be read ({error.strerror})") from None
    return np.frombuffer(data, dtype.newbyteorder("<")).reshape(tuple(tensor.dims))
