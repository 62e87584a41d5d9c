"""Random adaptation records for the random programs of `programs.py`: every step that can be observed is."""

from dataclasses import replace

import numpy as np

from edgebn import program as p
from edgebn.adaptation import Adaptation, AdaptedLayer, Observation

ADAPTABLE = (p.Convolution, p.TransposedConvolution, p.Affine)


def with_adaptation(program, seed):
    """Return `program` with records for its adaptable steps, or None where it has none."""
    rng = np.random.default_rng(seed)
    layers = []
    for step in program.steps:
        if not isinstance(step, ADAPTABLE) or (not isinstance(step, p.Affine) and step.weight.dtype == np.int16):
            continue
        height, _, channels = p.epilogue_shape(step, program)
        every = int(rng.integers(1, height + 2))
        first = int(rng.integers(0, min(every, height)))
        if program.dtype == "int8":
            center = step.epilogue.acc_bias + rng.integers(-500, 500, channels)
            observation = Observation(
                step.name, first, every, center.astype(np.int32), rng.integers(0, 7, channels).astype(np.uint8)
            )
        else:
            observation = Observation(step.name, first, every, rng.standard_normal(channels).astype(np.float32))
        sigma = rng.uniform(64, 128, channels) if program.dtype == "int8" else rng.uniform(0.5, 2, channels)
        home = rng.uniform(0.9, 1, channels).astype(np.float32)
        layers.append(AdaptedLayer(observation, "norm", sigma.astype(np.float32), home))
    if not layers:
        return None
    nothing = np.full(len(layers), 0.01, np.float32)
    return replace(program, adaptation=Adaptation(tuple(layers), 0, "", 1.0, 1.0, nothing, ()))
