"""A program that adapts fewer of its layers: what was measured for the others is left out, nothing is measured anew."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from edgebn import program as p
from edgebn.adapt.home import Home
from edgebn.errors import ModelError


def adapting_only(program: p.Program, steps: Collection[str]) -> p.Program:
    """Return `program` with only those of its adapted layers.

    The noise at home, which the gate compares evidence with, stays that of each layer; `adaptable(..., rows={step: 0})` measures
    the program anew and sees to it that the fewer layers keep still at home too.

    Parameters
    ----------
    program : Program
        From `adaptable`.
    steps : collection of str
        Names of the steps that go on adapting; at least one.

    Raises
    ------
    ModelError
        The program does not adapt, or no step of it has such a name.
    """
    home = Home(program)
    kept = [i for i, name in enumerate(home.names) if name in steps]
    if not kept:
        raise ModelError(f"{program.source}: none of its adapted layers is among {', '.join(steps) or 'none'}")
    channels = np.concatenate([np.arange(home.slices[i].start, home.slices[i].stop) for i in kept])
    given = home.adaptation
    tables = tuple(
        replace(
            table,
            first=table.first[:, channels],
            second=table.second[:, channels],
            first_scale=table.first_scale[kept],
            second_scale=table.second_scale[kept],
        )
        for table in given.tables
    )
    layers = tuple(given.layers[i] for i in kept)
    return replace(program, adaptation=replace(given, layers=layers, noise=given.noise[kept], tables=tables))
