"""Inputs and outputs of a network as the bytes that a device takes and gives. Knows programs, nothing of lines."""

from __future__ import annotations

import numpy as np

from edgebn import reference
from edgebn.cli.inputs import Inputs
from edgebn.program import CODE_RANGES, Program, holds_codes

SEED = 0


def drawn(program: Program, count: int) -> Inputs:
    """Return `count` random samples: codes of the whole range, or normal reals for float32."""
    random = np.random.default_rng(SEED)
    found: dict[str, np.ndarray] = {}
    for name in program.inputs:
        shape = (count, *program.shapes[name])
        dtype = program.buffers[name].dtype
        if dtype in CODE_RANGES:
            least, most = CODE_RANGES[dtype]
            found[name] = random.integers(least, most + 1, shape).astype(dtype)
        else:
            found[name] = random.standard_normal(shape).astype(np.float32)
    return found if len(found) > 1 else found[program.inputs[0]]


def sample(program: Program, inputs: Inputs, index: int) -> dict[str, np.ndarray]:
    """Return one sample by input name, (H, W, C), in the input's dtype: real numbers are quantised as a session would."""
    values = inputs if isinstance(inputs, dict) else {program.inputs[0]: inputs}
    found = {}
    for name in program.inputs:
        buffer = program.buffers[name]
        value = values[name][index]
        if holds_codes(buffer) and value.dtype != buffer.dtype:
            value = reference.quantize_real(value, buffer)
        found[name] = np.ascontiguousarray(value, buffer.dtype).reshape(buffer.shape)
    return found


def to_bytes(program: Program, values: dict[str, np.ndarray]) -> bytes:
    """Return a sample as a device takes it: all inputs in order, little-endian."""
    return b"".join(values[name].astype(values[name].dtype.newbyteorder("<")).tobytes() for name in program.inputs)


def from_bytes(program: Program, data: bytes) -> dict[str, np.ndarray]:
    """Return a device's output by name, (H, W, C), each in its own dtype."""
    found = {}
    for name in program.outputs:
        value = value_of(program, name, data)
        found[name] = value
        data = data[value.nbytes :]
    return found


def value_of(program: Program, buffer: str, data: bytes) -> np.ndarray:
    """Return the value of a buffer that `data` begins with."""
    shape = program.buffers[buffer].shape
    dtype = np.dtype(program.buffers[buffer].dtype).newbyteorder("<")
    size = int(np.prod(shape))
    return np.frombuffer(data, dtype, size).reshape(shape).astype(program.buffers[buffer].dtype)


def size_of(program: Program, buffer: str) -> int:
    """Return the bytes of a buffer's value."""
    return int(np.prod(program.buffers[buffer].shape)) * np.dtype(program.buffers[buffer].dtype).itemsize
