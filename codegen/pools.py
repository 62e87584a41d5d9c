"""The arena in several memories of different speed: what is read and written most goes to the fastest. Knows requests, no C text.

Scratch memory comes first: kernels go over it again and again. Values follow by what is read and written of them, a byte of their
own. Where that leaves something without a place, the largest go first instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from codegen.stepcode import SCRATCH_ALIGNMENT
from edgebn import memory
from edgebn.errors import BoardError, UsageError

LONGEST_NAME = 8  # with the longest model name that still leaves all identifiers distinct
_NAME = re.compile(rf"[a-z][a-z0-9]{{0,{LONGEST_NAME - 1}}}")


@dataclass(frozen=True)
class Pool:
    """One memory: what it is called in C, and the most bytes that may be taken of it. The fastest is named first.

    0 bytes stand for what the board has of it; see `sized`.
    """

    name: str
    size: int = 0


@dataclass(frozen=True)
class Filled:
    """What stands in one pool.

    Attributes
    ----------
    name : str
    size : int
        Bytes that may be taken.
    taken : int
        Bytes that are: the size of its array in C.
    traffic : int
        Bytes of values that an inference reads and writes there, scratch memory not counted.
    held : tuple of str
        Values, in the order in which they were given a place.
    scratch : tuple of str
        Steps whose scratch memory is there, likewise.
    """

    name: str
    size: int
    taken: int
    traffic: int
    held: tuple[str, ...]
    scratch: tuple[str, ...]


@dataclass(frozen=True)
class Placement:
    """Where every request stands: its pool, by index, and its offset there."""

    pool: dict[str, int]
    offsets: dict[str, int]
    filled: tuple[Filled, ...]


def parse(text: str) -> Pool:
    """Return the pool that NAME=BYTES names, or NAME, whose size is the board's.

    Raises
    ------
    ValueError
        It names none.
    """
    name, given, size = text.partition("=")
    if given and int(size) < 1:
        raise ValueError(f"{size} bytes can hold nothing")
    return Pool(name, int(size) if given else 0)


def sized(pools: Sequence[Pool], memories: Mapping[str, int], board: str) -> tuple[Pool, ...]:
    """Return the pools with the board's sizes where none were given; `memories` has its bytes by name.

    Raises
    ------
    UsageError
        The board has no such memory.
    """
    for pool in pools:
        if not pool.size and pool.name not in memories:
            known = ", ".join(memories) or "none"
            raise UsageError(f"pool {pool.name!r} wants a size, {pool.name}=BYTES: memories that are known of {board}: {known}")
    return tuple(Pool(pool.name, pool.size or memories[pool.name]) for pool in pools)


def check(pools: Sequence[Pool]) -> tuple[Pool, ...]:
    """Refuse pools that C or nobody can have.

    Raises
    ------
    UsageError
        A name that is none in C, two of one name, or a size below 1.
    """
    for index, pool in enumerate(pools):
        if not _NAME.fullmatch(pool.name):
            raise UsageError(f"pool {pool.name!r}: a name has 1 to {LONGEST_NAME} lower-case letters and digits, a letter first")
        if pool.size < 1:
            raise UsageError(f"pool {pool.name!r} of {pool.size} bytes can hold nothing")
        if any(other.name == pool.name for other in pools[:index]):
            raise UsageError(f"two pools are called {pool.name!r}")
    return tuple(pools)


def place(
    requests: Sequence[memory.Request], scratch: Mapping[str, str], traffic: Mapping[str, int], pools: Sequence[Pool]
) -> Placement:
    """Give every request a pool and an offset.

    Parameters
    ----------
    requests : sequence of Request
    scratch : mapping of str to str
        Requests that are scratch memory, to the step that needs it.
    traffic : mapping of str to int
        Bytes read and written in an inference, by request; none of scratch memory.
    pools : sequence of Pool
        The fastest first.

    Raises
    ------
    BoardError
        No place was found for something: what it is and how much it wants.
    """
    by_use = sorted(requests, key=lambda r: (r.name not in scratch, -traffic.get(r.name, 0) / max(1, r.size)))
    by_size = sorted(requests, key=lambda r: -r.size)
    refused: memory.Request | None = None
    for order in (by_use, by_size):
        members, left = _members(order, pools)
        if left is None:
            return _placement(members, scratch, traffic, pools)
        refused = refused or left
    assert refused is not None
    needed = _bound(requests)
    sizes = ", ".join(f"{pool.name} {pool.size:,}" for pool in pools)
    called = f"the scratch memory of '{scratch[refused.name]}'" if refused.name in scratch else f"'{refused.name}'"
    what = f"{called} of {refused.size:,} bytes has no place left in the pools ({sizes} bytes)"
    most = f"the network needs {needed:,} bytes at once" + (
        "" if needed > sum(pool.size for pool in pools) else ", but no value may be cut in two: make one pool larger"
    )
    raise BoardError(f"{what}; {most}")


def _members(order: Sequence[memory.Request], pools: Sequence[Pool]) -> tuple[list[list[memory.Request]], memory.Request | None]:
    """Return what goes into each pool, and the first request that finds no place, if any."""
    left = list(order)
    members: list[list[memory.Request]] = []
    for pool in pools:
        held: list[memory.Request] = []
        for request in left:
            if _bound([*held, request]) <= pool.size:
                held.append(request)
        while memory.plan(held, SCRATCH_ALIGNMENT).size > pool.size:  # what is live at once would fit, but leaves gaps
            held.pop()
        members.append(held)
        left = [request for request in left if request not in held]
    return members, left[0] if left else None


def _placement(
    members: Sequence[Sequence[memory.Request]], scratch: Mapping[str, str], traffic: Mapping[str, int], pools: Sequence[Pool]
) -> Placement:
    where: dict[str, int] = {}
    offsets: dict[str, int] = {}
    filled = []
    for index, (pool, held) in enumerate(zip(pools, members, strict=True)):
        found = memory.plan(held, SCRATCH_ALIGNMENT)
        names = tuple(request.name for request in held)
        where |= dict.fromkeys(names, index)
        offsets |= found.offsets
        values = tuple(name for name in names if name not in scratch)
        steps = tuple(scratch[name] for name in names if name in scratch)
        filled.append(Filled(pool.name, pool.size, found.size, sum(traffic.get(name, 0) for name in values), values, steps))
    return Placement(where, offsets, tuple(filled))


def _bound(requests: Sequence[memory.Request]) -> int:
    """Return the most bytes that are live at once."""
    last = max((request.last for request in requests), default=-1)
    changes = [0] * (last + 4)
    for request in requests:
        size = -(-request.size // SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT
        changes[request.first + 1] += size
        changes[request.last + 2] -= size
    return max(accumulate(changes))
