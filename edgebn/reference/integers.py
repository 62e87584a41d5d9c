"""Steps that make or read int32: casts, comparisons and whole-number arithmetic, where an extreme stands, choices, indexing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgebn.functions import INTEGER_BINARY
from edgebn.program import ArgExtreme, Cast, GatherND, IntegerBinary, Select

if TYPE_CHECKING:
    from edgebn.reference import Operands

MIN_INT32, MAX_INT32 = -(2**31), 2**31 - 1


def cast(step: Cast, operands: Operands) -> np.ndarray:  # noqa: ARG001  # every step's function is called alike
    """Between float32 and int32."""
    (value,) = operands.values
    if operands.output.dtype == "float32":
        return value.astype(np.float32)
    whole = np.trunc(np.nan_to_num(value.astype(np.float64), nan=0.0, posinf=MAX_INT32, neginf=MIN_INT32))
    return np.clip(whole, MIN_INT32, MAX_INT32).astype(np.int32)


def integer_binary(step: IntegerBinary, operands: Operands) -> np.ndarray:
    """Function of two values with broadcasting, in int32."""
    return np.asarray(INTEGER_BINARY[step.function](*operands.values)).astype(np.int32)


def arg_extreme(step: ArgExtreme, operands: Operands) -> np.ndarray:
    """Places of the largest or smallest values along an axis."""
    (value,) = operands.values
    falling = value.astype(np.float64) * (-1 if step.function == "max" else 1)
    if step.last:
        falling = np.flip(falling, step.axis)
    order = np.argsort(falling, step.axis, kind="stable")  # NaN last
    if step.last:
        order = value.shape[step.axis] - 1 - order
    return order.take(range(step.count or 1), step.axis).astype(np.int32)


def select(step: Select, operands: Operands) -> np.ndarray:  # noqa: ARG001  # the same
    """The second value where the first is not 0, else the third."""
    condition, a, b = operands.values
    return np.where(condition != 0, a, b)


def gather_nd(step: GatherND, operands: Operands) -> np.ndarray:
    """Parts of a value by computed indices."""
    values, indices = operands.values
    parts = []
    for row in indices[0, :, step.first :].astype(np.int64):
        part = values[(0,) * step.axis]
        for index in row:
            wanted = index + len(part) if index < 0 else index
            part = part[int(np.clip(wanted, 0, len(part) - 1))]
        parts.append(np.asarray(part).reshape(-1))
    return np.stack(parts)[np.newaxis]
