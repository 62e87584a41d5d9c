"""Which steps adapt: those that the program carries a record of. Knows programs, no C."""

from __future__ import annotations

from edgebn.program import Program, Step


def does_adapt(step: Step, program: Program) -> bool:
    """Whether a step's statistics are observed and its epilogue refolded."""
    given = program.adaptation
    return given is not None and any(layer.observation.step == step.name for layer in given.layers)
