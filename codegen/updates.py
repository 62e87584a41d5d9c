"""What the self-test of an adapting network learns: its recorded inputs over and over, and the state that Python has afterwards."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from codegen.project import Listing
from edgebn.adapt.adapter import Adapter
from edgebn.adapt.engines import ReferenceEngine
from edgebn.program import exact_buffers

UPDATES = 10  # enough for drawn inputs to open the gate: before that, nothing is folded


def learned(listing: Listing, inputs: Mapping[str, np.ndarray]) -> bytes | None:
    """Return the state after `UPDATES` of the inputs, (N, size) by C name; None where there is nothing that must be equal.

    That is a network that does not adapt, or whose logits stem from codes that were made from float32 numbers.
    """
    plan = listing.adaptation
    if plan is None or plan.program.adaptation is None or plan.program.adaptation.logits not in exact_buffers(plan.program):
        return None
    adapter = Adapter(ReferenceEngine(plan.program), plan.policy)
    for update in range(UPDATES):
        sample = {}
        for buffer, name in listing.values.inputs:
            values = inputs[name]
            sample[buffer] = values[update % len(values)].reshape(1, *plan.program.shapes[buffer])
        adapter.run(sample)
    return adapter.to_bytes()
