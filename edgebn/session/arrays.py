"""The user's arrays: what a session accepts, and how it says no. Knows shapes and types, nothing of memory layout."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.program import Program, result_dtype, signed_codes, takes_codes

Arrays = dict[str, np.ndarray]


def accept(program: Program, x: Any) -> tuple[Arrays, int, bool]:
    """Return a batch as dense arrays by input name, how many samples it has, and whether it is codes.

    Parameters
    ----------
    program : Program
    x : array, or mapping of input name to array
        Numbers of any real type, shape (N, ...). int8 or int16, of an input of that type, is codes (where every input holds
        codes), and so is uint8 for inputs that are uint8 in the file; all else is real values.

    Returns
    -------
    arrays : dict of str to ndarray
        C-contiguous, float32 or (codes) int8 or int16.
    batch : int
    as_codes : bool

    Raises
    ------
    ModelError
        Missing or unknown inputs, wrong shape or type, batches of different sizes.
    """
    values = _by_name(program, x)
    arrays = {name: _dense(program, name, values[name]) for name in program.inputs}
    kinds = {array.dtype != np.float32 for array in arrays.values()}
    sizes = {len(array) for array in arrays.values()}
    if len(kinds) > 1:
        raise ModelError(f"{program.source}: inputs mix codes with real values; give all in one form")
    if len(sizes) > 1:
        raise ModelError(f"{program.source}: inputs hold batches of different sizes {sorted(sizes)}; they must agree")
    return arrays, sizes.pop(), kinds.pop()


def _by_name(program: Program, x: Any) -> Mapping[str, Any]:
    if not isinstance(x, Mapping):
        if len(program.inputs) > 1:
            raise ModelError(f"{program.source}: the network has {len(program.inputs)} inputs; pass a dict with {program.inputs}")
        return {program.inputs[0]: x}
    if set(x) != set(program.inputs):
        raise ModelError(
            f"{program.source}: the inputs given are {sorted(map(str, x))}; the network's are {sorted(program.inputs)}"
        )
    return x


def _dense(program: Program, name: str, value: Any) -> np.ndarray:
    shape = program.shapes[name]
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{_what(program, name)} is not an array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise ModelError(f"{_what(program, name)} has type {array.dtype}; give float32 real values, or int8 codes of an int8 model")
    if array.shape[1:] != shape or array.ndim != len(shape) + 1:
        hint = "; add the batch axis with x[None]" if array.shape == shape else ""
        expected = ", ".join(["N", *map(str, shape)])
        raise ModelError(f"{_what(program, name)} has shape {array.shape}; expected ({expected}){hint}")
    array = signed_codes(program.buffers[name], array)
    dtype = program.buffers[name].dtype
    if (array.dtype == np.int8 and dtype != "int16") or (array.dtype == np.int16 and dtype == "int16"):
        if not takes_codes(program):
            first = next(one for one in program.inputs if program.buffers[one].dtype == "float32")
            whose = "this model is float32" if program.dtype == "float32" else f"the input '{first}' is float32"
            raise ModelError(
                f"{_what(program, name)} is {array.dtype}, but {whose} and has no codes; "
                "pass real values with x.astype('float32'), or quantise the model first"
            )
        return np.require(array, array.dtype, ["C", "A"])
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, as any conversion to float32 does
        return np.require(array, np.float32, ["C", "A"])


def results(program: Program, out: Any, batch: int, *, as_codes: bool) -> Arrays:
    """Return the arrays to write: the user's `out`, checked, or new ones; `as_codes` says whether codes came in.

    Raises
    ------
    ModelError
        `out` has another shape, type or layout than the result, or two of its arrays share memory.
    """
    shapes = {name: (batch, *program.shapes[name]) for name in program.outputs}
    dtypes = {name: result_dtype(program, name, as_codes=as_codes) for name in program.outputs}
    if out is None:
        return {name: np.empty(shape, dtypes[name]) for name, shape in shapes.items()}
    targets = out if isinstance(out, Mapping) else dict.fromkeys(program.outputs, out)
    if set(targets) != set(program.outputs) or (len(program.outputs) > 1 and not isinstance(out, Mapping)):
        raise ModelError(f"{program.source}: out must be a dict with exactly the outputs {program.outputs}")
    for name, shape in shapes.items():
        array, dtype = targets[name], dtypes[name]
        fits = isinstance(array, np.ndarray) and array.shape == shape and array.dtype == dtype
        if not fits or not (array.flags.c_contiguous and array.flags.writeable and array.flags.aligned):
            have = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ModelError(f"{program.source}: out for '{name}' is {have}; give a C-contiguous {dtype} array of {shape}")
    for one, other in itertools.combinations(shapes, 2):
        if np.may_share_memory(targets[one], targets[other]):  # exact: both are C-contiguous
            raise ModelError(f"{program.source}: out for '{one}' and for '{other}' share memory; give each output its own")
    return dict(targets)


def is_unsigned(program: Program, x: Any) -> bool:
    """Whether a caller gives uint8 codes, to every input: what is uint8 in the file then leaves so too."""
    targets = x if isinstance(x, Mapping) else {program.inputs[0]: x}
    return all(name in targets and getattr(targets[name], "dtype", None) == np.uint8 for name in program.inputs) and all(
        program.buffers[name].unsigned for name in program.inputs
    )


def as_signed(program: Program, out: Any) -> Any:
    """Return a caller's arrays for results with those of uint8 outputs seen as int8.

    Raises
    ------
    ModelError
        One is int8, which would hold other codes.
    """
    if isinstance(out, Mapping):
        return {name: _as_signed(program, name, array) for name, array in out.items()}
    return _as_signed(program, program.outputs[0], out)


def _as_signed(program: Program, name: str, array: Any) -> Any:
    buffer = program.buffers.get(name)
    if not isinstance(array, np.ndarray) or buffer is None or not buffer.unsigned:
        return array
    if array.dtype == np.int8:
        raise ModelError(f"{program.source}: out for '{name}' is int8, where uint8 codes came in; give a uint8 array")
    return array.view(np.int8) if array.dtype == np.uint8 else array


def as_unsigned(program: Program, taken: Arrays) -> Arrays:
    """Return results with the codes of uint8 outputs turned into those, in the same memory."""
    for name, array in taken.items():
        if program.buffers[name].unsigned:
            taken[name] = array.view(np.uint8)
            taken[name] ^= np.uint8(0x80)
    return taken


def apart(targets: Arrays, taken: Arrays) -> Arrays:
    """Return the inputs of a batch with copies of those that a result would overwrite before they are read.

    A sample's inputs are all read before its results are written; only those of later samples are in danger.
    """
    return {name: x.copy() if any(_is_endangered(x, out) for out in taken.values()) else x for name, x in targets.items()}


def _is_endangered(x: np.ndarray, out: np.ndarray) -> bool:
    """Whether some sample of `out` lies over a later sample of `x`; both are C-contiguous."""
    if not np.may_share_memory(x, out):
        return False
    return out.ctypes.data > x.ctypes.data or out.nbytes > x.nbytes  # else every sample of out ends before the next of x begins


def _what(program: Program, name: str) -> str:
    return f"{program.source}: the value for input '{name}'"
