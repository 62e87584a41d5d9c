"""Where every value of a program stands in memory: halos, pitches, lifetimes and the plan of the arena. Packs and runs nothing.

Buffers are NHWC with a halo: as many rows and columns around the pixels as the widest padding among the convolutions that read
them, filled with the zero point (int8) or 0.0, so that no convolution needs a bounds test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgebn import program as p
from edgebn.memory import Plan, Request, plan
from edgebn.quick_dataclass import dataclass
from edgebn.session import strip_pairs

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


@dataclass(frozen=True)
class BufferLayout:
    """The shape of one buffer in memory, wherever it stands.

    Attributes
    ----------
    shape : (height, width, channels)
    element : int
        Bytes of one number.
    halo : (top, left, bottom, right)
        Pixels.
    overread : int
        Bytes after the end that vector kernels may read (never write).
    """

    shape: p.Hwc
    element: int
    halo: p.Sides
    overread: int

    @property
    def pixel(self) -> int:
        """Bytes of one pixel."""
        return self.shape[2] * self.element

    @property
    def pitch(self) -> int:
        """Bytes from one row to the next."""
        return (self.shape[1] + self.halo[1] + self.halo[3]) * self.pixel

    @property
    def start_offset(self) -> int:
        """Bytes from the start to the first pixel."""
        return self.halo[0] * self.pitch + self.halo[1] * self.pixel

    @property
    def size_of_pixels(self) -> int:
        """Bytes of the pixels alone, as they lie in the user's array."""
        return self.shape[0] * self.shape[1] * self.pixel

    @property
    def size(self) -> int:
        """Bytes of the whole buffer."""
        return (self.shape[0] + self.halo[0] + self.halo[2]) * self.pitch + self.overread


@dataclass(frozen=True)
class Layout:
    """Every buffer's layout and place.

    Attributes
    ----------
    buffers : dict of str to BufferLayout
        By buffer name, constants included.
    places : dict of str to int
        Offset in the arena of every buffer that is not constant, halo included.
    scratch : dict of (step name, what) to int
        Offset in the arena of every step's scratch.
    scratch_sizes : dict of (step name, what) to int
        Bytes of it.
    plan : Plan
        What the planner returned.
    exposed : frozenset of str
        Buffers whose halo something else may have overwritten since it was filled last: it is filled anew in every inference.
    """

    buffers: dict[str, BufferLayout]
    places: dict[str, int]
    scratch: dict[tuple[str, str], int]
    scratch_sizes: dict[tuple[str, str], int]
    plan: Plan
    exposed: frozenset[str]


ScratchOf = Callable[[p.Step], Mapping[str, int]]


def lay_out(program: p.Program, scratch_of: ScratchOf, overread: int, threads: int = 1) -> Layout:
    """Return the layout of `program`.

    Parameters
    ----------
    program : Program
    scratch_of : callable
        Names and bytes of the scratch that a step's kernels want.
    overread : int
        Bytes that vector kernels may read after a buffer.
    threads : int
        How many may run steps that do not depend on each other at once.
    """
    layouts = _layouts(program, overread)
    roots = _shared_memory(program, layouts)
    requests = _requests(program, layouts, roots)
    scratch = {}
    for time, step in enumerate(program.steps, start=1):
        for what, size in scratch_of(step).items():
            scratch[step.name, what] = Request(f"scratch {what} of {step.name}", size, time, time)
    everything = [*requests.values(), *scratch.values()]
    if threads == 1:
        found = plan(everything, ALIGNMENT)
    else:
        from edgebn.session import branches

        apart, apart_scratch = branches.kept_apart(program, roots, requests, scratch, threads)
        found = plan([*apart.values(), *apart_scratch.values()], ALIGNMENT)
        # A plan of the least size that there can be is as small as that of one step after the other.
        usual = found if found.size == found.lower_bound else plan(everything, ALIGNMENT)
        if usual.size < found.size:
            found = usual
        else:
            requests, scratch, everything = apart, apart_scratch, [*apart.values(), *apart_scratch.values()]
    places = {name: found.offsets[requests[root].name] for name, root in roots.items()}
    twins = _twins(program, layouts, requests, found)
    exposed = {
        root for root, request in requests.items() if any(layouts[root].halo) and _is_exposed(request, twins, everything, found)
    }
    offsets = {key: found.offsets[request.name] for key, request in scratch.items()}
    sizes = {key: request.size for key, request in scratch.items()}
    return Layout(layouts, places, offsets, sizes, found, frozenset(exposed))


def needed_halo(step: p.Step, input_shape: p.Hwc, output_shape: p.Hwc) -> p.Sides:
    """Return the pixels around its first input that a step reads."""
    if isinstance(step, p.Convolution):
        return padding_read(step, input_shape)
    if isinstance(step, p.TransposedConvolution):
        from edgebn.session import phases

        return phases.halo(step, input_shape, output_shape)
    return (0, 0, 0, 0)


def padding_read(step: p.Convolution, input_shape: p.Hwc) -> p.Sides:
    """Return the padding that a convolution really reads: strides may leave some of it unread."""
    top, left, _, _ = step.padding
    rows, columns, _ = p.unpooled_shape(step, input_shape)
    bottom = (rows - 1) * step.strides[0] + step.dilations[0] * (step.weight.shape[1] - 1) + 1 - input_shape[0] - top
    right = (columns - 1) * step.strides[1] + step.dilations[1] * (step.weight.shape[2] - 1) + 1 - input_shape[1] - left
    return top, left, max(bottom, 0), max(right, 0)


def _layouts(program: p.Program, overread: int) -> dict[str, BufferLayout]:
    halos: dict[str, p.Sides] = dict.fromkeys(program.buffers, (0, 0, 0, 0))
    for step in program.steps:
        name = step.inputs[0]
        halo = needed_halo(step, program.buffers[name].shape, program.buffers[step.output].shape)
        top, left, bottom, right = (max(pair) for pair in zip(halos[name], halo, strict=True))
        halos[name] = top, left, bottom, right
    return {
        name: BufferLayout(buffer.shape, p.ELEMENT_BYTES[buffer.dtype], halos[name], overread)
        for name, buffer in program.buffers.items()
    }


def _shared_memory(program: p.Program, layouts: Mapping[str, BufferLayout]) -> dict[str, str]:
    """Return, for each buffer in the arena, the buffer whose memory it uses: itself, or what a Reshape only renames."""
    roots = {name: name for name in program.entering if name not in program.constants}
    for step in program.steps:
        roots[step.output] = step.output
        source = step.inputs[0]
        renames = isinstance(step, p.Reshape) and source in roots and not any(layouts[source].halo + layouts[step.output].halo)
        if renames and step.output not in program.entering:
            roots[step.output] = roots[source]
    return roots


def _requests(program: p.Program, layouts: Mapping[str, BufferLayout], roots: Mapping[str, str]) -> dict[str, Request]:
    """Return one request a root. Inputs arrive at time 0, step i runs at time i + 1, outputs leave after the last step."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    size: dict[str, int] = {}

    def used(name: str, time: int) -> None:
        if name in roots:
            root = roots[name]
            first.setdefault(root, time)
            last[root] = max(last.get(root, 0), time)
            size[root] = max(size.get(root, 0), layouts[name].size)

    for name in program.entering:
        used(name, 0)
    for time, step in enumerate(program.steps, start=1):
        for name in (*step.inputs, step.output):
            used(name, time)
    for pair in strip_pairs.found(program):  # what the first of two steps reads, it reads until the second ends
        for name in program.steps[pair.first].inputs:
            used(name, pair.second + 1)
    for name in program.leaving:
        used(name, len(program.steps) + 1)
    return {root: Request(f"buffer {root}", size[root], first[root], last[root]) for root in first}


def _twins(
    program: p.Program, layouts: Mapping[str, BufferLayout], requests: Mapping[str, Request], found: Plan
) -> dict[str, tuple[object, ...]]:
    """Return, by request, what it shares with those that stand in the same place with the same halo: they keep each other's."""
    return {
        request.name: (found.offsets[request.name], layouts[root], program.buffers[root].dtype, program.buffers[root].zero_point)
        for root, request in requests.items()
    }


def _is_exposed(request: Request, twins: Mapping[str, tuple[object, ...]], everything: list[Request], found: Plan) -> bool:
    """Whether what used a buffer's bytes last before it, in this inference or in the one before, was not a twin of it."""
    start = found.offsets[request.name]
    end = start + request.size
    others = [
        other
        for other in everything
        if other is not request and found.offsets[other.name] < end and start < found.offsets[other.name] + other.size
    ]
    mine = twins[request.name]
    before = [other for other in others if other.first < request.first] or others
    # Those that began last may be several, side by side in the buffer's bytes; before them a twin may have stood.
    since_twin = max((other.last for other in before if twins.get(other.name) == mine), default=None)
    if since_twin is None:
        return bool(others)
    return any(twins.get(other.name) != mine and other.last > since_twin for other in before)
