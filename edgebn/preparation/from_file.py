"""What a file says of a network's surroundings becomes its preparation, as far as it fits."""

from __future__ import annotations

from dataclasses import replace

from edgebn.errors import ModelError
from edgebn.preparation.check import check_preparation
from edgebn.preparation.data import Classes, Picture, Preparation
from edgebn.preparation.prepare import gives_logits, plain_pixels
from edgebn.program import Program


def as_the_file_says(program: Program, said: Preparation | None) -> Program:
    """Return a program that keeps it; what does not fit the network is left out."""
    if said is None:
        return program
    after = said.after
    if isinstance(after, Classes) and len(program.outputs) == 1:
        after = replace(after, logits=gives_logits(program))
    before = said.before
    if isinstance(before, Picture) and program.buffers[program.inputs[0]].dtype == "int8":
        # Normalisation is for float networks: TensorFlow Lite's task library hands pixels to quantised ones as they are.
        scale, offset = plain_pixels(program.buffers[program.inputs[0]])
        before = replace(before, scale=scale, offset=offset)
    kept = Preparation()
    for part in (Preparation(before=before), Preparation(after=after)):
        candidate = Preparation(part.before or kept.before, part.after or kept.after)
        try:
            check_preparation(replace(program, preparation=candidate))
        except ModelError:
            continue
        kept = candidate
    return program if kept == Preparation() else replace(program, preparation=kept)
