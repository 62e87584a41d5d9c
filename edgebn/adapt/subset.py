"""A program that adapts fewer of its layers: what was measured for the others is left out, nothing is measured anew."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from edgebn import program as p
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.errors import ModelError


def adapting_only(program: p.Program, steps: Collection[str]) -> p.Program:
    """Return `program` with only those of its adapted layers.

    The noise of source samples, which the gate compares evidence with, stays that of each layer; `adaptable(..., rows={step: 0})`
    measures the program anew and sees to it that the fewer layers keep still on source samples too.

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
    source = SourceStatistics(program)
    places = [i for i, name in enumerate(source.names) if name in steps]
    if not places:
        raise ModelError(f"{program.source}: none of its adapted layers is among {', '.join(steps) or 'none'}")
    channels = np.concatenate([np.arange(source.slices[i].start, source.slices[i].stop) for i in places])
    adaptation = source.adaptation
    tables = tuple(
        replace(
            table,
            first=table.first[:, channels],
            second=table.second[:, channels],
            first_scale=table.first_scale[places],
            second_scale=table.second_scale[places],
        )
        for table in adaptation.tables
    )
    layers = tuple(adaptation.layers[i] for i in places)
    return replace(program, adaptation=replace(adaptation, layers=layers, noise=adaptation.noise[places], tables=tables))
