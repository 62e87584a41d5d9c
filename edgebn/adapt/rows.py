"""Which rows of which layers are observed: what the user says, or what shows most for 3 to 4 % of an inference."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from edgebn import program as p
from edgebn.adapt.source_moments import MAX_POSITIONS, Adaptable, adaptable_steps
from edgebn.adaptation import Observation
from edgebn.errors import ModelError

# Of an inference, in cycles of a vector of channels.
PRODUCTS_A_CYCLE = {"int8": 5.0, "float32": 2.2}
OUTPUT_COST, OBSERVED_COST = 8.0, 9.5
MAX_COST, SCANTY_COST = 0.036, 0.03

Rows = Mapping[str, int] | int | None


def check_rows(program: p.Program, rows: Rows) -> None:
    """Refuse what is no choice of rows.

    Raises
    ------
    ModelError
        A number that is not whole or is negative, or a layer that cannot adapt.
    """
    if rows is None:
        return
    if isinstance(rows, Mapping):
        known = [step.name for step in adaptable_steps(program)]
        unknown = sorted(str(name) for name in rows if name not in known)
        if unknown:
            raise ModelError(f"{program.source}: rows names {', '.join(unknown)}; the layers that can adapt are {', '.join(known)}")
    for name, every in rows.items() if isinstance(rows, Mapping) else [("", rows)]:
        if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 0:
            where = f" of layer '{name}'" if name else ""
            raise ModelError(
                f"{program.source}: rows{where} is {every!r}; give n to observe every n-th row, 0 to leave a layer out, or a dict "
                "of such by layer"
            )


def row_step(program: p.Program, step: Adaptable, rows: Rows) -> int:
    """Return which rows of a step are observed: every n-th, 0 for none. `rows` as `edgebn.adaptable` takes it."""
    if rows is None or (isinstance(rows, Mapping) and step.name not in rows):
        return default_row_step(program, step)
    return int(rows[step.name] if isinstance(rows, Mapping) else rows)


def shown_rows(program: p.Program, step: Adaptable, rows: Rows) -> tuple[int, int]:
    """Return (first_row, row_step) of an observed step: as far from the top as from the bottom."""
    height, every = p.epilogue_shape(step, program)[0], row_step(program, step, rows)
    every = min(every, height)
    first = _first(height, every)
    if not len(p.observed_rows(step, Observation(step.name, first, every, np.zeros(0)), height)):
        first = int(p.observed_rows(step, Observation(step.name, 0, 1, np.zeros(0)), height)[0])
    return first, every


def _first(height: int, every: int) -> int:
    bands = len(range((every - 1) // 2, height, every))
    return (height - 1 - (bands - 1) * every) // 2


def most_rows(program: p.Program, step: Adaptable) -> tuple[int, int]:
    """Return (first_row, row_step) of all rows, or as many as the sums can hold."""
    rows, columns, _ = p.epilogue_shape(step, program)
    return 0, -(-rows * columns // MAX_POSITIONS)


def telling_steps(program: p.Program) -> list[Adaptable]:
    """Return the adaptable steps that are observed unless the user says otherwise.

    All of them, but for the 1 x 1 convolutions right before or behind an adaptable depthwise one. A depthwise layer has the very
    channels of the 1 x 1 layer before it and sets their means and variances right behind it: corrections of the same thing in
    both add up to too much, and the rows that are saved show more elsewhere (docs/adaptation.md has the figures). The first layer
    always stays: it is nearest to the world.
    """
    steps = adaptable_steps(program)
    depthwise = [step for step in steps if isinstance(step, p.Convolution) and _is_depthwise(step)]
    depthwise_inputs, depthwise_outputs = {step.inputs[0] for step in depthwise}, {step.output for step in depthwise}

    def is_beside(step: Adaptable) -> bool:
        is_pointwise = isinstance(step, p.Convolution) and step.groups == 1 and step.weight.shape[1:3] == (1, 1)
        return is_pointwise and (step.output in depthwise_inputs or step.inputs[0] in depthwise_outputs)

    return [step for step in steps if step is steps[0] or not is_beside(step)]


def _is_depthwise(step: p.Convolution) -> bool:
    return step.groups > 1 and step.weight.shape[3] == 1


def default_row_step(program: p.Program, step: Adaptable) -> int:
    """Return which rows of a step are observed unless the user says: every n-th, 0 for none.

    At least so many rows of each of `telling_steps`, and as many as observing costs 3 to 4 % of an inference: a layer of few rows
    needs more of them than one of many (docs/adaptation.md has the figures). In cycles of a vector of channels, an output costs
    its multiplications and 8 (epilogue and stores), an observed one 9.5 more. Where two rows of each layer cost too much, n is the
    same for all.
    """
    telling = telling_steps(program)
    if all(step.name != one.name for one in telling):
        return 0
    work = 0.0
    for one in program.steps:
        if isinstance(one, p.Convolution | p.TransposedConvolution):
            outputs = float(np.prod(p.epilogue_shape(one, program)))
            work += outputs * (one.weight[0].size / PRODUCTS_A_CYCLE[p.step_dtype(one, program)] + OUTPUT_COST)
    shapes = [p.epilogue_shape(one, program) for one in telling]

    def cost(rows: int) -> float:
        return OBSERVED_COST * sum(_count(shape[0], rows) * shape[1] * shape[2] for shape in shapes) / max(work, 1.0)

    height, highest = p.epilogue_shape(step, program)[0], max(shape[0] for shape in shapes)
    rows = next((rows for rows in range(highest, 1, -1) if cost(rows) <= MAX_COST), 0)
    return _every(height, rows) if rows else math.ceil(cost(highest) / SCANTY_COST)


def _every(height: int, rows: int) -> int:
    """Return n of every n-th row, for at least so many rows, or all that there are."""
    return height // min(rows, height)


def _count(height: int, rows: int) -> int:
    every = _every(height, rows)
    return len(range(_first(height, every), height, every))
