"""The arena of a listing: what may share memory, what each action needs at once, where everything stands.

`edgebn.memory` places rectangles; here they are made. Knows actions and buffers, nothing of C text or boards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from codegen import pools as memories
from codegen.pools import Filled, Pool
from codegen.schedule import Action
from codegen.stepcode import SCRATCH_ALIGNMENT
from codegen.values import Values, size_of
from edgebn import memory
from edgebn.program import Convolution, Program, Step, unpooled_shape
from edgebn.program import Pool as Pooling

PLANS_TRIED = 16  # whole plans made in search of a smaller arena, where the first is above its lower bound


@dataclass(frozen=True)
class Arena:
    """Where everything stands.

    Attributes
    ----------
    offsets : dict of str to int
        Bytes from the start of the arena, by owner of the memory (see `values.Values.owner`); inputs and outputs too.
    scratch : tuple of int
        Offset of each action's scratch memory; 0 where it wants none.
    size : int
        Bytes.
    lower_bound : int
        No plan for these lifetimes can be smaller.
    peak : int
        Index of the action that needs the most at once.
    live : tuple of (str, int)
        What is needed there: owner, or 'scratch memory', and bytes.
    in_place : frozenset of int
        Actions that write over their first input.
    pools : tuple of Filled
        The memories that the arena is spread over; empty where it is one. Offsets then count from the start of each.
    pool : dict of str to str
        Name of the pool of each owner, where there are any.
    scratch_pool : tuple of str
        Likewise of each action's scratch memory; empty where it wants none.
    """

    offsets: dict[str, int]
    scratch: tuple[int, ...]
    size: int
    lower_bound: int
    peak: int
    live: tuple[tuple[str, int], ...]
    in_place: frozenset[int]
    pools: tuple[Filled, ...] = ()
    pool: dict[str, str] = field(default_factory=dict)
    scratch_pool: tuple[str, ...] = ()

    def fullest_step(self, actions: Sequence[Action]) -> int:
        """Return the step at the peak, as an index into the program's steps."""
        return actions[self.peak].steps[-1]


def plan_arena(program: Program, values: Values, actions: Sequence[Action], pools: Sequence[Pool] = ()) -> Arena:
    """Give every value and all scratch memory a place, writing in place where that makes the arena smaller.

    Parameters
    ----------
    program : Program
    values : Values
    actions : sequence of Action
    pools : sequence of Pool
        Memories to spread the arena over, the fastest first; none for one memory.

    Returns
    -------
    Arena
        Inputs and outputs have a place as well, which callers may use instead of memory of their own; inputs are never written
        over by a step that reads them.

    Raises
    ------
    BoardError
        The pools do not hold it.
    """
    lifetimes = _lifetimes(program, values, actions)
    chosen = _choose(lifetimes, actions)
    if pools:
        return _spread(program, lifetimes, actions, chosen, pools)
    best, groups = _planned(lifetimes, actions, chosen)
    for index in sorted(chosen)[:PLANS_TRIED]:
        if best.size == best.lower_bound:
            break
        other, other_groups = _planned(lifetimes, actions, chosen - {index})
        if other.size < best.size:
            best, groups, chosen = other, other_groups, chosen - {index}
    offsets = {owner: best.offsets[group] for owner, group in groups.items()}
    scratch = tuple(best.offsets.get(_scratch(i), 0) for i in range(len(actions)))
    peak, live = _peak(_requests(lifetimes, actions, chosen)[0], actions)
    return Arena(offsets, scratch, best.size, best.lower_bound, peak, live, frozenset(chosen))


def _spread(
    program: Program, lifetimes: dict[str, _Lifetime], actions: Sequence[Action], chosen: frozenset[int], pools: Sequence[Pool]
) -> Arena:
    """Return the arena in several memories."""
    requests, groups = _requests(lifetimes, actions, chosen)
    traffic: dict[str, int] = {}
    for owner, nbytes in _traffic(program, lifetimes, actions).items():
        traffic[groups[owner]] = traffic.get(groups[owner], 0) + nbytes
    scratch = [_scratch(i) if action.scratch else "" for i, action in enumerate(actions)]
    steps = {name: program.steps[actions[i].steps[-1]].name for i, name in enumerate(scratch) if name}
    found = memories.place(requests, steps, traffic, pools)
    peak, live = _peak(requests, actions)
    return Arena(
        {owner: found.offsets[group] for owner, group in groups.items()},
        tuple(found.offsets.get(name, 0) for name in scratch),
        sum(filled.taken for filled in found.filled),
        _bound(requests, len(actions)),
        peak,
        live,
        chosen,
        found.filled,
        {owner: pools[found.pool[group]].name for owner, group in groups.items()},
        tuple(pools[found.pool[name]].name if name else "" for name in scratch),
    )


def _traffic(program: Program, lifetimes: dict[str, _Lifetime], actions: Sequence[Action]) -> dict[str, int]:
    """Return how many bytes an inference reads and writes of each owner: windows read what they overlap once each."""
    traffic = dict.fromkeys(lifetimes, 0)
    for action in actions:
        steps = [program.steps[i] for i in action.steps]
        for buffer, owner in zip(action.inputs, action.owners, strict=True):
            if owner in traffic:
                times = max([_overlap(step, program) for step in steps if buffer in step.inputs], default=1.0)
                traffic[owner] += round(size_of(program.buffers[buffer]) * times)
        if action.output_owner in traffic:
            traffic[action.output_owner] += size_of(program.buffers[action.output])
    return traffic


def _overlap(step: Step, program: Program) -> float:
    """Return in how many windows an element of the input lies, on average: 1 for steps without windows."""
    height, width, _ = program.buffers[step.inputs[0]].shape
    if isinstance(step, Convolution):
        rows, columns, _ = unpooled_shape(step, program.buffers[step.inputs[0]].shape)
        taps = step.weight.shape[1] * step.weight.shape[2]
    elif isinstance(step, Pooling):
        rows, columns, _ = program.buffers[step.output].shape
        taps = step.window.kernel[0] * step.window.kernel[1]
    else:
        return 1.0
    return rows * columns * taps / (height * width)


def pressure(program: Program, values: Values, actions: Sequence[Action]) -> list[int]:
    """Return how many bytes the actions need at once, the most first: what schedules are compared by, before any is planned."""
    lifetimes = _lifetimes(program, values, actions)
    requests = _requests(lifetimes, actions, _choose(lifetimes, actions))[0]
    return sorted(_live(requests, len(actions)), reverse=True)


@dataclass(frozen=True)
class _Lifetime:
    size: int
    first: int
    last: int
    may_be_overwritten: bool


def _scratch(index: int) -> str:
    return f"scratch of {index}"


def _lifetimes(program: Program, values: Values, actions: Sequence[Action]) -> dict[str, _Lifetime]:
    """Return the lifetimes of all owners that have a place, in indices of actions; -1 before the first."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for buffer in program.inputs:
        first[values.owner[buffer]] = last[values.owner[buffer]] = -1
    for index, action in enumerate(actions):
        output = values.owner[action.output]
        first.setdefault(output, index)
        last[output] = index
        for buffer in action.inputs:
            if buffer not in program.constants:
                last[values.owner[buffer]] = index
    kept = {values.owner[buffer] for buffer in (*program.inputs, *program.leaving)}
    for buffer in program.leaving:
        owner = values.owner[buffer]
        if owner in first:
            last[owner] = len(actions)
    sizes = {owner: size_of(program.buffers[owner]) for owner in first}
    return {owner: _Lifetime(sizes[owner], first[owner], last[owner], owner not in kept) for owner in first}


def _may_write_over(lifetimes: dict[str, _Lifetime], index: int, action: Action) -> bool:
    """Whether an action's output may take the memory of its first input, which nothing else needs any more."""
    if not action.in_place or action.owners[0] not in lifetimes:
        return False
    source, target = action.owners[0], action.output_owner
    dead = lifetimes[source].may_be_overwritten and lifetimes[source].last == index
    return dead and source != target and action.owners.count(source) == 1 and lifetimes[target].first == index


def _choose(lifetimes: dict[str, _Lifetime], actions: Sequence[Action]) -> frozenset[int]:
    """Return the actions to run in place: all that may, less those whose doing so costs memory."""
    chosen = frozenset(i for i, action in enumerate(actions) if _may_write_over(lifetimes, i, action))
    bound = _bound(_requests(lifetimes, actions, chosen)[0], len(actions))
    for index in sorted(chosen):
        without = _bound(_requests(lifetimes, actions, chosen - {index})[0], len(actions))
        if without < bound:
            chosen, bound = chosen - {index}, without
    return chosen


def _requests(
    lifetimes: dict[str, _Lifetime], actions: Sequence[Action], chosen: frozenset[int]
) -> tuple[list[memory.Request], dict[str, str]]:
    """Return the requests, one a group of owners that share a place, and each owner's group."""
    group = {owner: owner for owner in lifetimes}
    for index in sorted(chosen):
        group[actions[index].output_owner] = group[actions[index].owners[0]]
    members: dict[str, list[_Lifetime]] = {}
    for owner, head in group.items():
        members.setdefault(head, []).append(lifetimes[owner])
    requests = [
        memory.Request(head, max(m.size for m in found), min(m.first for m in found), max(m.last for m in found))
        for head, found in members.items()
    ]
    requests += [memory.Request(_scratch(i), action.scratch, i, i) for i, action in enumerate(actions) if action.scratch]
    return requests, group


def _planned(
    lifetimes: dict[str, _Lifetime], actions: Sequence[Action], chosen: frozenset[int]
) -> tuple[memory.Plan, dict[str, str]]:
    requests, groups = _requests(lifetimes, actions, chosen)
    return memory.plan(requests, SCRATCH_ALIGNMENT), groups


def _aligned(size: int) -> int:
    return -(-size // SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT


def _live(requests: Sequence[memory.Request], actions: int) -> list[int]:
    """Return the bytes needed at once, from before the first action (index 0) to after the last."""
    changes = [0] * (actions + 3)
    for request in requests:
        changes[request.first + 1] += _aligned(request.size)
        changes[request.last + 2] -= _aligned(request.size)
    return list(accumulate(changes))[: actions + 2]


def _bound(requests: Sequence[memory.Request], actions: int) -> int:
    return max(_live(requests, actions))


def _peak(requests: Sequence[memory.Request], actions: Sequence[Action]) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Return the action that needs the most at once, and what."""
    live = [
        [(r.name if r.name != _scratch(i) else "scratch memory", r.size) for r in requests if r.size and r.first <= i <= r.last]
        for i in range(len(actions))
    ]
    if not live:
        return 0, ()
    peak = max(range(len(actions)), key=lambda i: sum(_aligned(size) for _, size in live[i]))
    return peak, tuple(live[peak])
