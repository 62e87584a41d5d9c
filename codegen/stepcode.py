"""What an emitter hands back for one step of a program: C statements, constant arrays, headers and the memory it wants.

Plain data. It knows nothing of files, of boards or of how memory is planned; `emit.py` puts the pieces together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

# Scratch memory and every buffer begin at a multiple of this many bytes: kernels may read and write words there.
SCRATCH_ALIGNMENT = 4


@dataclass(frozen=True)
class CArray:
    """One constant array of the emitted parameters.

    Attributes
    ----------
    name : str
        C identifier, as `Names.array` gave it.
    ctype : str
        Element type: 'int8_t', 'uint8_t', 'int16_t', 'int32_t', 'int64_t', 'float' ...
    values : ndarray
        Its shape and order are the array's; written flat. Constant arrays are emitted aligned to 8 bytes.
    comment : str
        What it holds and its shape, for the line above it.
    pairs : bool
        Whether every eight are four taps of a pair of channels, which processors read in different orders (edgebn_pairs_s8.h).
    """

    name: str
    ctype: str
    values: np.ndarray
    comment: str
    pairs: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes in flash."""
        return int(self.values.size) * BYTES[self.ctype]


BYTES = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "uint32_t": 4, "int64_t": 8, "float": 4}


@dataclass(frozen=True)
class StepCode:
    """One step in C.

    Attributes
    ----------
    call : str
        C statements, one call of a kernel where possible; lines are not indented. Empty when the step needs no code (a
        reshape that shares its input's memory).
    arrays : tuple of CArray
    headers : tuple of str
        File names in `codegen/c`, what they include themselves not repeated.
    scratch : int
        Bytes wanted at `names.scratch` during the step; 0 where none.
    in_place : bool
        Whether the output may be the very memory of the first input (same start), the first input being dead after the step.
    """

    call: str
    arrays: tuple[CArray, ...] = ()
    headers: tuple[str, ...] = ()
    scratch: int = 0
    in_place: bool = False


class Names(Protocol):
    """C expressions for what a step touches; `emit.py` makes one a step."""

    @property
    def scratch(self) -> str:
        """Expression of type `void *`: scratch memory of this step, aligned to SCRATCH_ALIGNMENT."""

    def buffer(self, name: str) -> str:
        """Return the expression for a buffer of the program: a pointer to its first element, (const) int8_t * or float *."""

    def array(self, suffix: str) -> str:
        """Return a C identifier, unique in the project, for an array of this step: 'weights', 'scale' ..."""
