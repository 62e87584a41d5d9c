"""Channels of one value brought to similar size before int8 gives them all one scale; the network computes what it did.

Where everything that makes a value is positively homogeneous and everything that reads it is linear, channel c may be multiplied by
f_c > 0 at its makers (in gamma and beta, or in weights without a batch norm) and divided out in its readers' weights (Nagel et
al. 2019, data-free quantisation, there for pairs of layers; here for whole residual streams). Knows float32 programs only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgebn.program import Add, Convolution, FloatEpilogue, Pool, Program, Reshape, Step

STRENGTH = 0.6  # 0 leaves channels as they are, 1 makes them all equal: more would cost the weights more than values gain
VECTOR_STRENGTH = 0.3  # for streams with a value of a single position: a sample shows one number a channel, too few to trust
LARGEST_FACTOR = 8.0


def equalize(program: Program, sizes: Mapping[str, np.ndarray]) -> Program:
    """Return a float32 program that computes the same with channels of more equal size, and remembers the factors.

    Parameters
    ----------
    program : Program
    sizes : mapping of str to ndarray (channels,)
        How large each channel of each buffer gets, in any unit.
    """
    factors = _factors(program, sizes)
    steps = tuple(_scaled(step, factors) for step in program.steps)
    return replace(program, steps=steps, channel_factors=factors)


def _factors(program: Program, sizes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return f (channels,) of every buffer that takes part."""
    stream = _streams(program)
    members: dict[str, list[str]] = {}
    for name, root in stream.items():
        members.setdefault(root, []).append(name)
    factors: dict[str, np.ndarray] = {}
    for names in members.values():
        relative = []
        for name in names:
            size = np.asarray(sizes[name], np.float64)
            if size.max() > 0:
                relative.append(size / size.max())
        if not relative:
            continue
        largest = np.max(relative, axis=0)  # a channel is as small as where it is largest
        has_vector = any(program.buffers[name].shape[:2] == (1, 1) for name in names)
        strength = VECTOR_STRENGTH if has_vector else STRENGTH
        factor = np.minimum(1.0 / np.maximum(largest, 1e-12) ** strength, LARGEST_FACTOR)
        factors.update(dict.fromkeys(names, factor))
    return factors


def _streams(program: Program) -> dict[str, str]:
    """Return the buffers whose channels may be scaled, each with the name that stands for all that must scale alike."""
    parent = {name: name for name in program.buffers}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    pinned = {*program.entering, *program.leaving, *program.constants}
    for step in program.steps:
        if _passes_through(step, program):
            for name in step.inputs:
                parent[root(name)] = root(step.output)
        elif not isinstance(step, Convolution):
            pinned.update((*step.inputs, step.output))
        elif not _is_homogeneous(step):
            pinned.add(step.output)
    held = {root(name) for name in pinned}
    return {name: root(name) for name in program.buffers if root(name) not in held}


def _passes_through(step: Step, program: Program) -> bool:
    """Whether scaling every input's channel c by f_c scales the output's channel c by f_c."""
    output = program.buffers[step.output].shape
    shapes = [program.buffers[name].shape for name in step.inputs]
    if isinstance(step, Reshape):
        return shapes[0] == output
    if isinstance(step, Add):
        return all(shape[2] == output[2] for shape in shapes) and _homogeneous_clip(step.post)
    return isinstance(step, Pool)


def _is_homogeneous(step: Convolution) -> bool:
    epilogue = step.epilogue
    return _homogeneous_clip(epilogue.post) and (bool(epilogue.norms) or _homogeneous_clip(epilogue.pre))


def _homogeneous_clip(clip: tuple[float, float]) -> bool:
    return all(bound == 0.0 or np.isinf(bound) for bound in clip)


def _scaled(step: Any, factors: Mapping[str, np.ndarray]) -> Step:
    if not isinstance(step, Convolution):
        return step
    weight, epilogue = step.weight.astype(np.float64), step.epilogue
    assert isinstance(epilogue, FloatEpilogue)
    if step.inputs[0] in factors:
        by_group = factors[step.inputs[0]].reshape(step.groups, -1)  # (groups, I / groups)
        group_of = np.arange(len(weight)) // (len(weight) // step.groups)
        weight = weight / by_group[group_of][:, None, None, :]
    if step.output in factors:
        factor = factors[step.output]
        if epilogue.norms:
            last = epilogue.norms[-1]
            last = replace(last, gamma=_float32(last.gamma * factor), beta=_float32(last.beta * factor))
            norms = (*epilogue.norms[:-1], last)
            epilogue = replace(epilogue, a=_float32(epilogue.a * factor), d=_float32(epilogue.d * factor), norms=norms)
        else:
            weight = weight * factor[:, None, None, None]
            epilogue = replace(epilogue, bias=_float32(epilogue.bias * factor))
    return replace(step, weight=_float32(weight), epilogue=epilogue)


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)
