"""Permutations and reshapes of axes as plans over shapes: which axes travel together, and which steps on three axes do the work."""

from __future__ import annotations

from collections import deque
from itertools import pairwise, permutations

from edgebn.graph import Shape

Axes = tuple[int, ...]

# More runs of axes than this in one transpose belong to no network; the search below would take long.
MAX_RUNS = 6


def axis_groups(shape: Shape, permutation: Axes) -> list[Axes]:
    """Return the runs of axes that travel together under `permutation`, in their new order; axes of size 1 are left out.

    One run or none means that the elements do not move.
    """
    groups: list[Axes] = []
    present = [axis for axis in range(len(shape)) if shape[axis] != 1]
    for axis in permutation:
        if shape[axis] == 1:
            continue
        if groups and present.index(groups[-1][-1]) + 1 == present.index(axis):
            groups[-1] = (*groups[-1], axis)
        else:
            groups.append((axis,))
    return groups


def transpose_plan(goal: Axes) -> list[tuple[tuple[Axes, ...], Axes]] | None:
    """Return the fewest transposes of at most three blocks that bring runs 0, 1, 2, ... into the order `goal`.

    Each is (blocks, order): the runs that lie in each block before it, and how it reorders the blocks. None when there are more
    than `MAX_RUNS` runs.
    """
    if len(goal) > MAX_RUNS:
        return None
    start = tuple(range(len(goal)))
    came: dict[Axes, tuple[Axes, tuple[Axes, ...], Axes] | None] = {start: None}
    queue = deque([start])
    while goal not in came:
        here = queue.popleft()
        for blocks in _cuts(here):
            for order in permutations(range(len(blocks))):
                there = tuple(run for block in order for run in blocks[block])
                if there not in came:
                    came[there] = (here, blocks, order)
                    queue.append(there)
    plan: list = []
    while (step := came[goal]) is not None:
        goal, blocks, order = step
        plan.insert(0, (blocks, order))
    return plan


def _cuts(runs: Axes) -> list[tuple[Axes, ...]]:
    """Return every way to cut `runs` into two or three blocks."""
    inner = range(1, len(runs))
    cuts = [(0, a, len(runs)) for a in inner] + [(0, a, b, len(runs)) for a in inner for b in inner if a < b]
    return [tuple(runs[a:b] for a, b in pairwise(cut)) for cut in cuts]


def reshape_groups(before: Shape, after: Shape) -> list[tuple[Axes, Axes]]:
    """Return the smallest groups of axes (of `before`, of `after`) with the same elements each, in row-major order."""
    groups = []
    i = j = 0
    while i < len(before) or j < len(after):
        sources, targets = list(range(i, min(i + 1, len(before)))), list(range(j, min(j + 1, len(after))))
        have, want = (before[i] if sources else 1), (after[j] if targets else 1)
        i, j = i + len(sources), j + len(targets)
        while have != want:
            if have < want:
                have, i, sources = have * before[i], i + 1, [*sources, i]
            else:
                want, j, targets = want * after[j], j + 1, [*targets, j]
        groups.append((tuple(sources), tuple(targets)))
    return groups


def over_space(shape: Shape, axes: list[int]) -> bool:
    """Whether `axes` are rows or columns of a value (length, channels) or (height, width, channels)."""
    return len(shape) in (2, 3) and len(shape) - 1 not in axes


def last_run(shape: Shape, axes: list[int]) -> list[int]:
    """Return the last of `axes` and those right before it; axes of size 1 between them do not part them."""
    run = [axes[-1]]
    for axis in range(axes[-1] - 1, -1, -1):
        if axis in axes:
            run.insert(0, axis)
        elif shape[axis] != 1:
            break
    return run
