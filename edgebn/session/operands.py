"""The arguments that elementwise kernels have in common: where operands begin, and their steps."""

from __future__ import annotations

from collections.abc import Sequence

from edgebn import program as p
from edgebn.session.packer import Address, Packer


def by_pixel(step: p.Step, packer: Packer) -> dict[str, Address | float]:
    """Return the arguments of a step from one value to another, pixel by pixel."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    rows, columns, channels = output.layout.shape
    ends: dict[str, Address | float] = {
        "src": source.address,
        "src_row": source.row,
        "dst": output.address,
        "dst_row": output.row,
    }
    return ends | {"rows": rows, "columns": columns, "channels": channels}


def by_row(step: p.Step, packer: Packer) -> dict[str, Address | float]:
    """Return the arguments of a step from one value to another, row by row."""
    arguments = by_pixel(step, packer)
    rows, columns, channels = packer.view(step.output).layout.shape
    del arguments["columns"], arguments["channels"]
    return arguments | {"rows": rows, "count": columns * channels}


def repeating(shape: p.Hwc, steps: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return `steps` with 0 along every axis of size 1, which broadcasting repeats."""
    row, pixel, channel = (0 if size == 1 else step for size, step in zip(shape, steps, strict=True))
    return row, pixel, channel


def operands(step: p.Step, packer: Packer, names: Sequence[str] = "ab") -> dict[str, Address | float]:
    """Return the arguments of a step whose inputs broadcast, which its kernel calls `names`: steps are elements."""
    output = packer.view(step.output)
    rows, columns, channels = output.layout.shape
    arguments: dict[str, Address | float] = {"dst": output.address, "dst_row": output.row}
    arguments |= {"rows": rows, "columns": columns, "channels": channels}
    for letter, name in zip(names, step.inputs, strict=True):
        view = packer.view(name)
        element = view.layout.element
        row, pixel, channel = repeating(view.layout.shape, (view.row // element, view.pixel // element, 1))
        arguments |= {letter: view.address, f"{letter}_row": row, f"{letter}_pixel": pixel, f"{letter}_channel": channel}
    return arguments


def zero_points(step: p.Step, packer: Packer) -> dict[str, Address | float]:
    """Return the zero points of a step's two operands."""
    return {f"{letter}_zero": packer.buffer(name).zero_point for letter, name in zip("ab", step.inputs, strict=True)}


def rescaling(arithmetic: p.IntMultiply) -> dict[str, Address | float]:
    """Return the arguments that say how products of codes become codes."""
    scaled: dict[str, Address | float] = {
        "multiplier": arithmetic.m,
        "rounding": arithmetic.r,
        "shift": arithmetic.s,
        "neg": int(arithmetic.neg),
    }
    return scaled | {"zero_point": arithmetic.zero_point, "qmin": arithmetic.qmin, "qmax": arithmetic.qmax}
