"""Which steps adapt: those that the program carries a record of. Knows programs, no C."""

from __future__ import annotations

from edgebn.program import Program, Step


def does_adapt(step: Step, program: Program) -> bool:
    """Whether a step's statistics are observed and its epilogue refolded."""
    adaptation = program.adaptation
    return adaptation is not None and any(layer.observation.step == step.name for layer in adaptation.layers)
