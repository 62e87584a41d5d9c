"""Convolution followed only by a pool becomes one step: the unpooled rows are never stored."""

from __future__ import annotations

import numpy as np

from edgebn.program import Convolution, Pool, Program, Step
from edgebn.quick_dataclass import replace


def fuse_pools(program: Program) -> Program:
    """Return `program` with every pool that alone reads a convolution's output inside that convolution's step.

    int8 averages fuse only in the form that keeps scale and zero point (`Pool.epilogue` None). Dilated windows stay apart,
    and so do convolutions of int16 weights.
    """
    readers: dict[str, list[Step]] = {}
    for step in program.steps:
        for name in set(step.inputs):
            readers.setdefault(name, []).append(step)
    fused: dict[str, Pool] = {}
    for step in program.steps:
        behind = readers.get(step.output, [])
        if not isinstance(step, Convolution) or step.pool is not None or step.weight.dtype == np.int16:
            continue
        if len(behind) != 1 or step.output in program.leaving:
            continue
        pool = behind[0]
        if isinstance(pool, Pool) and pool.window.dilations == (1, 1) and pool.epilogue is None and _same_codes(program, pool):
            fused[step.name] = pool
    if not fused:
        return program
    pools = {pool.name: name for name, pool in fused.items()}
    steps = tuple(
        replace(step, output=fused[step.name].output, pool=fused[step.name].window)  # type: ignore[call-arg]  # convolutions only
        if step.name in fused
        else step
        for step in program.steps
        if step.name not in pools
    )
    unpooled = {pool.inputs[0] for pool in fused.values()}
    records = tuple(
        replace(record, step=pools[record.step], became=f"fused into {pools[record.step]}: pooled as it is computed")
        if record.step in pools
        else record
        for record in program.records
    )
    buffers = {name: buffer for name, buffer in program.buffers.items() if name not in unpooled}
    factors = {name: factor for name, factor in program.channel_factors.items() if name in buffers}
    return replace(program, steps=steps, buffers=buffers, records=records, channel_factors=factors)


def _same_codes(program: Program, pool: Pool) -> bool:
    before, after = program.buffers[pool.inputs[0]], program.buffers[pool.output]
    return (before.dtype, before.scale, before.zero_point) == (after.dtype, after.scale, after.zero_point)
