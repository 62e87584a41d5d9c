"""The self-test of a project: recorded inputs, what the reference makes of them, and a program that compares.

Knows programs, the reference and C text; nothing of boards but the functions in board.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codegen.constants import declaration, definition
from codegen.listing import item_of
from codegen.places import buffer_of, memory_outside, output_names, place
from codegen.project import Listing
from codegen.stepcode import CArray
from codegen.templating import fill
from codegen.updates import UPDATES, learned
from codegen.values import ELEMENT, count, size_of
from edgebn import reference
from edgebn.errors import ModelError
from edgebn.program import CODE_RANGES, close_buffers, exact_buffers, has_floats

DRAWN = 2  # inputs where the caller gives none
DRAWN_IN_SEQUENCE = 8  # of a network with states
# Of the larger of 1 and the largest magnitude that is expected, behind codes that were made from float32 numbers: of these, one
# between two codes may become either.
COARSE_TOLERANCE = 0.05
COARSE_CODES = 13  # the same part of 256 codes
CHOSEN_PART = 16  # of whole numbers that comparisons of float32 numbers chose, one in so many may be another
COARSE_WIDE_CODES = 3277  # of 65,536
_SEED = 1
_PITCH = 8  # every recorded input and output begins at a multiple of this many bytes


@dataclass(frozen=True)
class Comparison:
    """A way to compare an output.

    Attributes
    ----------
    template : str
        Of its function.
    tolerance : str
        A C literal, where the function has one.
    about : str
        In words, for the head of the file.
    library : str
        The header that it needs.
    item : str
        The C type of an element.
    """

    template: str
    tolerance: str
    about: str
    library: str
    item: str = "int8_t"


_BYTES = "byte for byte.\n   With EDGEBN_TRACE defined everywhere, the output of every layer as well."
COMPARISONS = {
    "s8": Comparison("self_test_differ_codes.c.in", "", _BYTES, "string.h"),
    "near_s8": Comparison("self_test_near_codes.c.in", str(COARSE_CODES), f"within {COARSE_CODES} codes.", "stdint.h"),
    "s16": Comparison("self_test_differ_codes.c.in", "", _BYTES, "string.h", "int16_t"),
    "near_s16": Comparison(
        "self_test_near_codes.c.in", str(COARSE_WIDE_CODES), f"within {COARSE_WIDE_CODES} codes.", "stdint.h", "int16_t"
    ),
    "f32": Comparison("self_test_differ_f32.c.in", "1e-5f", "within a tolerance of 1e-5.", "float.h"),
    "coarse_f32": Comparison(
        "self_test_differ_f32.c.in", f"{COARSE_TOLERANCE:g}f", f"within a tolerance of {COARSE_TOLERANCE:g}.", "float.h"
    ),
    "s32": Comparison("self_test_differ_s32.c.in", "different > 0", "number by number.", "stdint.h"),
    # What float32 comparisons choose may differ where two numbers are nearly equal, which is rare.
    "most_s32": Comparison(
        "self_test_differ_s32.c.in", f"different * {CHOSEN_PART} > size", f"in all but one of {CHOSEN_PART} places.", "stdint.h"
    ),
}
_SEVERAL = "codes byte for byte\n   and float32 numbers within a tolerance."
_CHECKED = "*next_checksum++ != 0 && hash != next_checksum[-1]"
_TRACE_BEGIN = """\
#if defined(EDGEBN_TRACE)
        next_checksum = {name}_checksums + i * STEPS;
#endif
"""
_TRACE_END = """\
#if defined(EDGEBN_TRACE)
    wrong += traced;
#endif
"""
_UNRECORDED = """\
    if (next_checksum == NULL) { /* learning, whose steps have no checksums */
        return;
    }
"""
_TRACE_END_LEARNING = _TRACE_END.replace("traced;\n", "traced;\n    next_checksum = NULL;\n")
_LEARNING_END = """\
    if (learning_differs()) {
        say("learning differs\\n");
        wrong++;
    }
"""


@dataclass(frozen=True)
class Vectors:
    """What a self-test compares.

    Attributes
    ----------
    count : int
    values : dict of str to ndarray, shape (count, size)
        By C name of the parameter, inputs and outputs.
    checksums : ndarray of uint32, shape (count, actions)
        FNV-1a of what every action makes, 0 where engines agree within a tolerance; of networks that are int8, if only in part.
    learned : int or None
        FNV-1a of the state after the updates of `updates.py`; None where there are none.
    """

    count: int
    values: dict[str, np.ndarray]
    checksums: np.ndarray
    learned: int | None = None


def record(listing: Listing, samples: np.ndarray | None) -> Vectors:
    """Run the reference on `samples`, or on a few that are drawn, and keep what a self-test needs.

    Raises
    ------
    ModelError
        `samples` are not of the network's type or size, or the network has several inputs.
    """
    program = listing.program
    drawn = DRAWN_IN_SEQUENCE if program.states else DRAWN
    inputs = [_drawn(listing, i) for i in range(drawn)] if samples is None else _checked_samples(listing, samples)
    kept: dict[str, list[np.ndarray]] = {name: [] for _, name in (*listing.values.inputs, *listing.values.outputs)}
    checksums, exact, held = [], exact_buffers(program), reference.initial_states(program)
    for sample in inputs:
        values = reference.run_steps(program, sample, states=held)
        for buffer, name in (*listing.values.inputs, *listing.values.outputs):
            kept[name].append(values[buffer].reshape(-1))
        if program.dtype != "float32":
            made = [action.output for action in listing.actions]
            checksums.append([checksum(values[name]) if name in exact else 0 for name in made])
    recorded = {name: np.stack(arrays) for name, arrays in kept.items()}
    state = learned(listing, recorded)
    return Vectors(
        len(inputs), recorded, np.array(checksums, np.uint32), None if state is None else checksum(np.frombuffer(state, np.uint8))
    )


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
        dtype = listing.program.buffers[buffer].dtype
        if dtype in CODE_RANGES:
            least, most = CODE_RANGES[dtype]
            drawn[buffer] = rng.integers(least, most + 1, shape).astype(dtype)
        else:
            drawn[buffer] = rng.standard_normal(shape).astype(np.float32)
    return drawn


def _checked_samples(listing: Listing, samples: np.ndarray) -> list[Mapping[str, np.ndarray]]:
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
    is_traced = vectors.checksums.size > 0
    name, upper = listing.name, listing.name.upper()
    kinds = {parameter: _comparison(listing, buffer) for buffer, parameter in listing.values.outputs}
    is_single = len(set(kinds.values())) == 1
    named = {kind: "differ" if is_single else f"differ_{kind}" for kind in COMPARISONS if kind in kinds.values()}
    libraries = sorted({"stddef.h", *(COMPARISONS[kind].library for kind in named)})
    arguments = ", ".join(
        [_vector(listing, parameter) for _, parameter in listing.values.inputs]
        + [place(listing, parameter) for _, parameter in listing.values.outputs]
    )
    learning = {"learning": "", "learning_end": ""}
    if vectors.learned is not None:
        filled = fill(
            "self_test_learning.c.in",
            name=name,
            upper=upper,
            updates=UPDATES,
            checksum=f"0x{vectors.learned:08X}",
            arguments=arguments,
        )
        learning = {"learning": filled, "learning_end": _LEARNING_END}
    condition = _CHECKED if has_floats(listing.program) else "hash != *next_checksum++"
    trace = fill("self_test_trace.c.in", condition=condition, unrecorded=_UNRECORDED if learning["learning"] else "")
    text = fill(
        "self_test.c.in",
        name=name,
        about=" ".join(COMPARISONS[kind].about for kind in named) if is_single else _SEVERAL,
        includes="\n".join(f"#include <{library}>" for library in libraries),
        vectors=vectors.count,
        reset=f"\n    {name}_reset_state();" if listing.program.states else "",
        step_count=f"#define STEPS {len(listing.actions)}\n" if is_traced else "",
        places=memory_outside(listing, output_names(listing)),
        trace=trace if is_traced else fill("trace_nothing.c.in"),
        differ="".join(
            fill(COMPARISONS[kind].template, differ=function, tolerance=COMPARISONS[kind].tolerance, item=COMPARISONS[kind].item)
            for kind, function in named.items()
        ),
        trace_begin=_TRACE_BEGIN.format(name=name) if is_traced else "",
        trace_end=(_TRACE_END_LEARNING if learning["learning"] else _TRACE_END) if is_traced else "",
        arguments=arguments,
        **learning,
        comparisons="\n".join(
            f"        wrong += {named[kinds[parameter]]}({place(listing, parameter)}, {_vector(listing, parameter)}, "
            f"{upper}_{parameter.upper()}_SIZE);"
            for _, parameter in listing.values.outputs
        ),
    )
    return {"self_test.c": text}


def own_files(listing: Listing, vectors: Vectors) -> dict[str, str]:
    """Return `<name>_vectors.c` and `<name>_vectors.h`."""
    name = listing.name
    arrays = [_array(listing, vectors, parameter) for parameter in vectors.values]
    if vectors.checksums.size:
        comment = f"({vectors.count}, {len(listing.actions)}): FNV-1a of what every step makes, vector by vector"
        comment += "" if not has_floats(listing.program) else "; 0 where engines agree within a tolerance"
        arrays.append(CArray(f"{name}_checksums", "uint32_t", vectors.checksums, comment))
    return {f"{name}_vectors.c": _vectors_source(name, arrays), f"{name}_vectors.h": _vectors_header(name, arrays)}


def _comparison(listing: Listing, buffer: str) -> str:
    """Return how an output is compared: a word of COMPARISONS."""
    dtype = listing.program.buffers[buffer].dtype
    if dtype == "int32":
        return "s32" if buffer in exact_buffers(listing.program) else "most_s32"
    if dtype in CODE_RANGES:
        kind = "s8" if dtype == "int8" else "s16"
        return kind if buffer in exact_buffers(listing.program) else f"near_{kind}"
    return "f32" if buffer in close_buffers(listing.program) else "coarse_f32"


def _pitch(listing: Listing, parameter: str) -> int:
    """Return elements from one vector to the next."""
    buffer = listing.program.buffers[buffer_of(listing, parameter)]
    return -(-size_of(buffer) // _PITCH) * _PITCH // ELEMENT[buffer.dtype][1]


def _array(listing: Listing, vectors: Vectors, parameter: str) -> CArray:
    values = vectors.values[parameter]
    padded = np.zeros((vectors.count, _pitch(listing, parameter)), values.dtype)
    padded[:, : values.shape[1]] = values
    comment = f"({vectors.count}, {padded.shape[1]}): {parameter}, {values.shape[1]} of each row used"
    return CArray(f"{listing.name}_{parameter}_vectors", item_of(listing, buffer_of(listing, parameter)), padded, comment)


def _vector(listing: Listing, parameter: str) -> str:
    return f"{listing.name}_{parameter}_vectors + (size_t)i * {_pitch(listing, parameter)}u"


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
