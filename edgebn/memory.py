"""The arena planner: lifetimes and sizes in, offsets out. It knows nothing of networks, engines or data types.

Two requests may share bytes when no step needs both. The problem is dynamic storage allocation (NP-hard); here greedy orders
come first, then repair, then branch and bound, each only while the arena is larger than its proved lower bound. Everything is
deterministic and bounded by counts, never by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgebn.quick_dataclass import dataclass

REPAIR_ROUNDS = 100  # orders tried by repair
SEARCH_NODES = 10_000  # placements tried by branch and bound


@dataclass(frozen=True)
class Request:
    """One buffer that wants a place in the arena.

    Attributes
    ----------
    name : str
        Unique among the requests of a plan.
    size : int
        Bytes; zero is allowed and takes no place.
    first, last : int
        The buffer holds its bytes from step `first` to step `last`, both included.
    """

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """Where every buffer stands.

    Attributes
    ----------
    offsets : dict of str to int
        Bytes from the start of the arena, multiples of the alignment.
    size : int
        Bytes of the whole arena.
    lower_bound : int
        No plan can be smaller: the largest sum of aligned sizes that one step needs at once.
    """

    offsets: dict[str, int]
    size: int
    lower_bound: int


@dataclass(frozen=True)
class _Problem:
    """The requests that take place, in units of the alignment, over compressed time."""

    sizes: np.ndarray  # (n,) int64
    first: np.ndarray  # (n,) int64, index of a moment
    last: np.ndarray  # (n,) int64, index of a moment, included
    live: np.ndarray  # (moments,) int64: sum of the sizes live at each moment

    @property
    def bound(self) -> int:
        return int(self.live.max(initial=0))


def plan(requests: Sequence[Request], alignment: int = 64) -> Plan:
    """Return offsets for `requests` in one arena, as small as could be found.

    Parameters
    ----------
    requests : sequence of Request
    alignment : int
        Bytes; every offset and every size is rounded up to a multiple of it.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        For two requests of one name, a negative size, a lifetime that ends before it begins, or an alignment below 1.
    """
    _check(requests, alignment)
    taken = [request for request in requests if request.size > 0]
    problem = _problem(taken, alignment)
    best = _best_offsets(problem)
    offsets = {request.name: 0 for request in requests}
    offsets.update({request.name: int(offset) * alignment for request, offset in zip(taken, best, strict=True)})
    found = Plan(offsets, _height(problem, best) * alignment, problem.bound * alignment)
    verify(requests, found, alignment)
    return found


def verify(requests: Sequence[Request], found: Plan, alignment: int = 64) -> None:
    """Check that `found` is a sound plan for `requests`: engines write through these offsets without looking.

    Raises
    ------
    ValueError
        Naming the requests that overlap, that are misaligned, or that leave the arena.
    """
    offsets = np.array([found.offsets[request.name] for request in requests], np.int64)
    sizes = np.array([request.size for request in requests], np.int64)
    first = np.array([request.first for request in requests], np.int64)
    last = np.array([request.last for request in requests], np.int64)
    ends = offsets + sizes
    wrong = (offsets % alignment != 0) | (offsets < 0) | (ends > found.size)
    if wrong.any():
        raise ValueError(f"'{requests[int(wrong.argmax())].name}' is misaligned or leaves the arena")
    together = (first[:, None] <= last) & (first <= last[:, None])
    shared = (offsets[:, None] < ends) & (offsets < ends[:, None]) & (sizes > 0) & (sizes[:, None] > 0)
    clash = np.triu(together & shared, 1)
    if clash.any():
        one, other = divmod(int(clash.argmax()), len(requests))
        raise ValueError(f"'{requests[one].name}' and '{requests[other].name}' overlap")


def _check(requests: Sequence[Request], alignment: int) -> None:
    if alignment < 1:
        raise ValueError(f"the alignment must be at least 1 byte, not {alignment}")
    names = set()
    for request in requests:
        if request.name in names:
            raise ValueError(f"two requests are named '{request.name}'")
        names.add(request.name)
        if request.size < 0:
            raise ValueError(f"'{request.name}' asks for {request.size} bytes")
        if request.first > request.last:
            raise ValueError(f"'{request.name}' ends at step {request.last}, before it begins at step {request.first}")


def _problem(requests: Sequence[Request], alignment: int) -> _Problem:
    """Compress time to the steps at which some request begins: every largest set of live requests shows at one of them."""
    sizes = np.array([-(-request.size // alignment) for request in requests], np.int64)
    begins = np.array([request.first for request in requests], np.int64)
    ends = np.array([request.last for request in requests], np.int64)
    moments = np.array(sorted(set(begins.tolist())), np.int64)  # np.unique would import numpy.ma, which costs a start 5 ms
    first = np.searchsorted(moments, begins)
    last = np.searchsorted(moments, ends, side="right") - 1
    live = np.zeros(len(moments), np.int64)
    for size, begin, end in zip(sizes, first, last, strict=True):
        live[begin : end + 1] += size
    return _Problem(sizes, first, last, live)


def _height(problem: _Problem, offsets: np.ndarray) -> int:
    return int((offsets + problem.sizes).max(initial=0))


def _best_offsets(problem: _Problem) -> np.ndarray:
    """Return offsets (n,) in units of the alignment."""
    best = np.zeros(len(problem.sizes), np.int64)
    if not len(best):
        return best
    best_height: int | None = None
    for order in _greedy_orders(problem):
        for best_fit in (True, False):
            offsets = _place(problem, order, best_fit=best_fit)
            if best_height is None or _height(problem, offsets) < best_height:
                best, best_height = offsets, _height(problem, offsets)
            if best_height == problem.bound:
                return best
    best = _repair(problem, best)
    if _height(problem, best) > problem.bound:
        best = _branch_and_bound(problem, best)
    return best


def _greedy_orders(problem: _Problem) -> Iterator[np.ndarray]:
    """Return orders in which greedy placement tends to do well; ties go to the earlier request."""
    sizes, first = problem.sizes, problem.first
    length = problem.last - first + 1
    crowd = np.array([problem.live[a : b + 1].max() for a, b in zip(first, problem.last, strict=True)])
    keys = (
        (first, -sizes),  # np.lexsort: the last key is the first to sort by
        (first, -length, -sizes),
        (-sizes, -length),
        (first, -sizes * length),
        (-sizes, -crowd),
        (-length, -sizes, -crowd),
        (-sizes, first),
        (-sizes, -problem.last),
    )
    return map(np.lexsort, keys)


def _place(problem: _Problem, order: np.ndarray, *, best_fit: bool) -> np.ndarray:
    """Place requests in `order`, each in the smallest gap that holds it (`best_fit`) or in the lowest."""
    first, last = problem.first, problem.last
    offsets, tops = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
    placed = np.zeros(len(order), bool)
    for index, size in zip(order.tolist(), problem.sizes[order].tolist(), strict=True):
        others = placed & (first <= last[index]) & (first[index] <= last)
        end = 0  # of the bytes in use below the gap
        place, smallest = -1, 0
        for offset, top in sorted(zip(offsets[others].tolist(), tops[others].tolist(), strict=True)):
            gap = offset - end
            if gap >= size and (place < 0 or (best_fit and gap < smallest)):
                place, smallest = end, gap
            end = max(end, top)
        offsets[index] = place if place >= 0 else end
        tops[index] = offsets[index] + size
        placed[index] = True
    return offsets


def _repair(problem: _Problem, offsets: np.ndarray) -> np.ndarray:
    """Place again and again, those that stood at the top first: they were placed too late."""
    best, best_height = offsets, _height(problem, offsets)
    order = np.lexsort((-problem.sizes, offsets))
    for turn in range(REPAIR_ROUNDS):
        tops = offsets + problem.sizes
        at_top = tops[order] == tops.max()
        if turn % 2:  # also those that stand beside a request at the top
            highest = np.flatnonzero(tops == tops.max())
            beside = np.zeros(len(order), bool)
            for index in highest:
                beside |= (problem.first <= problem.last[index]) & (problem.first[index] <= problem.last)
            at_top |= beside[order] & (problem.sizes[order] >= problem.sizes[highest].min())
        order = np.concatenate([order[at_top], order[~at_top]])
        offsets = _place(problem, order, best_fit=turn % 4 < 2)
        if _height(problem, offsets) < best_height:
            best, best_height = offsets, _height(problem, offsets)
        if best_height == problem.bound:
            break
    return best


def _branch_and_bound(problem: _Problem, offsets: np.ndarray) -> np.ndarray:
    """Search the orders by rising offset, each request on top of what it shares a moment with; stop after `SEARCH_NODES`.

    Some optimal plan has this form: push every request down as far as it goes, then list them by offset. A branch is cut
    when, at some moment, what stands plus what must still come reaches the best height known.
    """
    sizes, first, last = problem.sizes, problem.first, problem.last
    best, best_height = offsets, _height(problem, offsets)
    count = len(sizes)
    current = np.zeros(count, np.int64)
    standing = np.zeros(len(problem.live), np.int64)  # height reached at each moment
    coming = problem.live.copy()  # sizes still to be placed at each moment
    unplaced = np.ones(count, bool)

    def candidates(floor: int) -> list[tuple[int, int]]:
        """Return (offset, index), the most promising last."""
        options = []
        for index in np.flatnonzero(unplaced):
            offset = int(standing[first[index] : last[index] + 1].max())
            if offset >= floor:
                options.append((offset, -int(sizes[index]), int(index)))
        options.sort(reverse=True)
        return [(offset, index) for offset, _, index in options]

    # One frame a placed request: what to try instead, and how to take it back.
    frames: list[tuple[list[tuple[int, int]], int, np.ndarray]] = []
    options, nodes = candidates(0), 0
    while nodes < SEARCH_NODES and best_height > problem.bound:
        if not options:
            if not frames:
                break
            options, index, below = frames.pop()
            span = slice(first[index], last[index] + 1)
            standing[span] = below
            coming[span] += sizes[index]
            unplaced[index] = True
            continue
        offset, index = options.pop()
        nodes += 1
        span = slice(first[index], last[index] + 1)
        below = standing[span].copy()
        standing[span] = offset + sizes[index]
        coming[span] -= sizes[index]
        unplaced[index] = False
        current[index] = offset
        frames.append((options, index, below))
        # What is still to come stands no lower than this request did.
        if int(np.where(coming > 0, np.maximum(standing, offset) + coming, standing).max()) >= best_height:
            options = []
        elif not unplaced.any():
            best, best_height = current.copy(), int(standing.max())
            options = []
        else:
            options = candidates(offset)
    return best
