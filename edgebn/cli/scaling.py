"""From stored numbers to what a network takes: --scale and --offset, or the scaling that an .edgebn file keeps; and doubts."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace

import numpy as np

from edgebn import reference
from edgebn.cli.values import factor, shift
from edgebn.errors import InputRangeWarning, ModelError
from edgebn.passes.quantization.input_range import doubt
from edgebn.program import InputScaling, Program, takes_codes

AS_STORED = InputScaling(1.0)


def add_scaling_options(group: argparse._ArgumentGroup) -> None:  # argparse names the type so
    """Add --scale and --offset."""
    group.add_argument(
        "--scale",
        type=factor,
        metavar="S",
        help="real value = stored value * S + O (for example 1/255); default what MODEL keeps from when it was made, or 1",
    )
    group.add_argument("--offset", type=shift, metavar="O", help="see --scale; default 0")


def input_scaling(arguments: argparse.Namespace, *, integers_only: bool = True) -> InputScaling | None:
    """Return the scaling of the command line, None where it says nothing."""
    if arguments.scale is None and arguments.offset is None:
        return None
    scale = 1.0 if arguments.scale is None else arguments.scale
    return InputScaling(scale, arguments.offset or 0.0, integers_only)


def keeping(program: Program, scaling: InputScaling | None) -> Program:
    """Return a program that keeps a scaling for all of its inputs, or the program itself without one."""
    if scaling is None:
        return program
    return replace(program, input_scaling=dict.fromkeys(program.inputs, scaling))


def scaling_of(
    values: np.ndarray, name: str, program: Program, arguments: argparse.Namespace, what: str, *, are_pixels: bool = False
) -> InputScaling | None:
    """Return how stored values are scaled; None for int8 codes, which are no real numbers. Pixels of 16 bits are integers too.

    Raises
    ------
    ModelError
        int8 codes for an input of real numbers, and nothing says what they stand for.
    """
    kept = (program.input_scaling or {}).get(name)
    told = input_scaling(arguments)
    if told is not None:
        if kept is not None and (told.scale, told.offset) != (kept.scale, kept.offset):
            warnings.warn(
                f"{what} is scaled by {text(told)} as told; the model was made for {text(kept)}", InputRangeWarning, stacklevel=2
            )
        return told
    if values.dtype == np.int16 and takes_codes(program) and program.buffers[name].dtype == "int16":
        return None
    if values.dtype == np.int8:
        if takes_codes(program):
            return None
        if kept is None:
            raise ModelError(
                f"{what} holds int8 codes, and {program.source} takes real numbers; "
                "say what they stand for with --scale and --offset"
            )
    if kept is None or (kept.integers_only and values.dtype.kind == "f" and not are_pixels):
        return AS_STORED
    return kept


def scaled(values: np.ndarray, scaling: InputScaling | None) -> np.ndarray:
    """Return real numbers, or codes as they are."""
    if scaling is None:
        return np.ascontiguousarray(values)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is refused by whoever takes it
        return np.ascontiguousarray(values.astype(np.float32) * np.float32(scaling.scale) + np.float32(scaling.offset))


def warn_of_odd(values: np.ndarray, name: str, program: Program, what: str) -> None:
    """Warn where real numbers do not look as the network expects its input."""
    if values.dtype in (np.int8, np.int16):
        return
    found = doubt(program, name, values, reference.run)
    if found is not None:
        warnings.warn(f"{what}: {found}", InputRangeWarning, stacklevel=2)


def text(scaling: InputScaling) -> str:
    """Return the options that say a scaling."""
    inverse = 1 / scaling.scale if scaling.scale else 0.0
    is_fraction = abs(scaling.scale) < 1 and abs(inverse - round(inverse, 1)) < 1e-6 * abs(inverse)
    scale = f"1/{round(inverse, 1):g}" if is_fraction else f"{scaling.scale:g}"
    return f"--scale {scale}" + (f" --offset {scaling.offset:g}" if scaling.offset else "")
