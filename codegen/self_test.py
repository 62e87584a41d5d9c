"""The self-test of a project: recorded inputs, what the reference makes of them, and a program that compares.

Knows programs, the reference and C text; nothing of boards but the functions in board.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codegen.constants import declaration, definition
from codegen.places import memory_outside, output_names, place
from codegen.project import Listing
from codegen.stepcode import CArray
from codegen.templating import fill
from codegen.values import ELEMENT, count
from edgebn import reference
from edgebn.errors import ModelError

DRAWN = 2  # inputs where the caller gives none
FLOAT_TOLERANCE = 1e-5  # of the larger of 1 and the largest magnitude that is expected
_SEED = 1
_PITCH = 8  # every recorded input and output begins at a multiple of this many bytes


@dataclass(frozen=True)
class Vectors:
    """What a self-test compares.

    Attributes
    ----------
    count : int
    values : dict of str to ndarray, shape (count, size)
        By C name of the parameter, inputs and outputs.
    checksums : ndarray of uint32, shape (count, actions)
        FNV-1a of what every action makes, int8 networks only.
    """

    count: int
    values: dict[str, np.ndarray]
    checksums: np.ndarray


def record(listing: Listing, samples: np.ndarray | None) -> Vectors:
    """Run the reference on `samples`, or on a few that are drawn, and keep what a self-test needs.

    Raises
    ------
    ModelError
        `samples` are not of the network's type or size, or the network has several inputs.
    """
    program = listing.program
    inputs = [_drawn(listing, i) for i in range(DRAWN)] if samples is None else _given(listing, samples)
    kept: dict[str, list[np.ndarray]] = {name: [] for _, name in (*listing.values.inputs, *listing.values.outputs)}
    checksums = []
    for given in inputs:
        values = reference.run_steps(program, given)
        for buffer, name in (*listing.values.inputs, *listing.values.outputs):
            kept[name].append(values[buffer].reshape(-1))
        if program.dtype == "int8":
            checksums.append([checksum(values[action.output]) for action in listing.actions])
    return Vectors(len(inputs), {name: np.stack(arrays) for name, arrays in kept.items()}, np.array(checksums, np.uint32))


def checksum(values: np.ndarray) -> int:
    """Return FNV-1a (32 bits) of the bytes of `values`."""
    result = 2166136261
    for byte in np.ascontiguousarray(values).tobytes():
        result = (result ^ byte) * 16777619 & 0xFFFFFFFF
    return result


def _drawn(listing: Listing, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(_SEED + seed)
    drawn = {}
    for buffer in listing.program.inputs:
        shape = listing.program.buffers[buffer].shape
        if listing.program.dtype == "int8":
            drawn[buffer] = rng.integers(-128, 128, shape).astype(np.int8)
        else:
            drawn[buffer] = rng.standard_normal(shape).astype(np.float32)
    return drawn


def _given(listing: Listing, samples: np.ndarray) -> list[Mapping[str, np.ndarray]]:
    program = listing.program
    if len(program.inputs) != 1:
        raise ModelError(f"{program.source}: samples for the self-test can be given for one input, and the model has several")
    buffer = program.buffers[program.inputs[0]]
    samples = np.asarray(samples)
    if not len(samples) or samples.dtype != buffer.dtype or samples[0].size != count(buffer):
        raise ModelError(
            f"{program.source}: samples for the self-test must be {buffer.dtype} of shape (N, ...) with {count(buffer)} values "
            f"each, not {samples.dtype} of shape {samples.shape}"
        )
    return [{buffer.name: sample.reshape(buffer.shape)} for sample in samples]


def files(listing: Listing, vectors: Vectors) -> dict[str, str]:
    """Return `self_test.c`."""
    name = listing.name
    text = fill(
        "self_test_s8.c.in" if listing.program.dtype == "int8" else "self_test_f32.c.in",
        name=name,
        upper=name.upper(),
        vectors=vectors.count,
        places=memory_outside(listing, output_names(listing)),
        arguments=", ".join(
            [_vector(listing, parameter) for _, parameter in listing.values.inputs]
            + [place(listing, parameter) for _, parameter in listing.values.outputs]
        ),
        comparisons="\n".join(
            f"        wrong += differ({place(listing, parameter)}, {_vector(listing, parameter)}, "
            f"{name.upper()}_{parameter.upper()}_SIZE);"
            for _, parameter in listing.values.outputs
        ),
        steps=len(listing.actions),
    )
    return {"self_test.c": text}


def own_files(listing: Listing, vectors: Vectors) -> dict[str, str]:
    """Return `<name>_vectors.c` and `<name>_vectors.h`."""
    name = listing.name
    arrays = [_array(listing, vectors, parameter) for parameter in vectors.values]
    if listing.program.dtype == "int8":
        comment = f"({vectors.count}, {len(listing.actions)}): FNV-1a of what every step makes, vector by vector"
        arrays.append(CArray(f"{name}_checksums", "uint32_t", vectors.checksums, comment))
    return {f"{name}_vectors.c": _vectors_source(name, arrays), f"{name}_vectors.h": _vectors_header(name, arrays)}


def _pitch(listing: Listing, parameter: str) -> int:
    """Return elements from one vector to the next."""
    item = ELEMENT[listing.program.dtype][1]
    buffer = next(b for b, p in (*listing.values.inputs, *listing.values.outputs) if p == parameter)
    return -(-count(listing.program.buffers[buffer]) * item // _PITCH) * _PITCH // item


def _array(listing: Listing, vectors: Vectors, parameter: str) -> CArray:
    values = vectors.values[parameter]
    padded = np.zeros((vectors.count, _pitch(listing, parameter)), values.dtype)
    padded[:, : values.shape[1]] = values
    comment = f"({vectors.count}, {padded.shape[1]}): {parameter}, {values.shape[1]} of each row used"
    return CArray(f"{listing.name}_{parameter}_vectors", ELEMENT[listing.program.dtype][0], padded, comment)


def _vector(listing: Listing, parameter: str) -> str:
    return f"{listing.name}_{parameter}_vectors + i * {_pitch(listing, parameter)}"


def _vectors_source(name: str, arrays: list[CArray]) -> str:
    body = "\n".join(definition(array) for array in arrays)
    return f'/* Inputs of the self-test and what the reference makes of them. */\n#include "{name}_vectors.h"\n\n{body}'


def _vectors_header(name: str, arrays: list[CArray]) -> str:
    guard = f"{name.upper()}_VECTORS_H"
    lines = "\n".join(declaration(array) for array in arrays)
    return (
        "/* Inputs of the self-test and what the reference makes of them. */\n"
        f'#ifndef {guard}\n#define {guard}\n\n#include "{name}_params.h"\n\n{lines}\n\n#endif\n'
    )
