"""What a mask is made of: a map of scores, or, of a network that ends in an argmax, a map of class numbers."""

from __future__ import annotations

from dataclasses import dataclass

from edgebn.preparation.data import Mask
from edgebn.program import ArgExtreme, IntegerBinary, Program, Reshape, Step, Transpose


@dataclass(frozen=True)
class MaskMap:
    """How the output lies that a mask is made of.

    Attributes
    ----------
    height, width, classes : int
    has_numbers : bool
        Whether its cells are class numbers, int32; else they are scores, `classes` in a cell.
    is_sure : bool
        Whether the network can give no other class: else a map of numbers comes from elsewhere than from an argmax.
    """

    height: int
    width: int
    classes: int
    has_numbers: bool
    is_sure: bool


def mask_map(program: Program, mask: Mask) -> MaskMap | None:
    """Return how the only output lies; None where it is no map of scores or class numbers that fits the mask's names."""
    output = program.outputs[0]
    shape, names = program.shapes[output], len(mask.names)
    sides = _sides_of_numbers(shape) if program.buffers[output].dtype == "int32" else None
    if sides is not None:
        told = _told_apart(program, output)
        found = MaskMap(*sides, told or names, has_numbers=True, is_sure=bool(told))
    elif len(shape) == 3:
        found = MaskMap(*shape, has_numbers=False, is_sure=True)
    else:
        return None
    return found if found.classes >= 2 and names in {0, found.classes} else None


def _sides_of_numbers(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return rows and columns of a map with one number in a cell, whether or not the axis of classes is kept; else None."""
    if len(shape) == 3 and 1 in {shape[0], shape[2]}:
        shape = shape[:2] if shape[2] == 1 else shape[1:]
    return (shape[0], shape[1]) if len(shape) == 2 else None


def _told_apart(program: Program, name: str) -> int:
    """Return how many places the argmax or argmin has that an output comes from; 0 where it comes from none."""
    steps = {step.output: step for step in program.steps}
    while (step := steps.get(name)) is not None and _keeps_places(program, step):
        name = step.inputs[0]
    return program.buffers[step.inputs[0]].shape[step.axis] if isinstance(step, ArgExtreme) and step.count is None else 0


def _keeps_places(program: Program, step: Step) -> bool:
    """Whether places stay places of the same axis: moved, or cut to a byte by a cast to uint8."""
    if isinstance(step, IntegerBinary) and step.function == "floor_mod":
        divisor = program.constants.get(step.inputs[1])
        return divisor is not None and bool((divisor > 0).all())
    return isinstance(step, Reshape | Transpose)
