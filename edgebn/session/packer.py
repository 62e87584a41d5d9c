"""The tools with which steps become rows of the operation table: addresses, constants, scratch. Knows no kind of step."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.kernels.records import RECORD_WORDS
from edgebn.quick_dataclass import dataclass
from edgebn.session.layout import ALIGNMENT, BufferLayout, Layout
from edgebn.session.options import Options

# Linux gives memory in large pages where it is asked to, in which MobileNet v2 runs 3 to 7 % faster. NumPy asks for large arrays,
# but not for those that begin as zeros.
LARGE_PAGE = 1 << 21
MIN_IN_LARGE_PAGES = 1 << 20
SAVED_OVERREAD = 1 << 12  # bytes that the last pixel may write or be read beyond its channels


@dataclass(frozen=True)
class Constant:
    """An address in the blob of constants, whose own address is known only when everything is packed."""

    offset: int

    def __add__(self, count: int) -> Constant:
        return Constant(self.offset + count)


@dataclass(frozen=True)
class SavedAddress:
    """An address in the memory where an observed step saves accumulators: one for all steps, each overwrites the last."""

    offset: int

    def __add__(self, count: int) -> SavedAddress:
        return SavedAddress(self.offset + count)


Address = int | Constant | SavedAddress


# Tables that threads share, that one thread walks, and that observe.
SHARED, WHOLE, OBSERVING = "shared", "whole", "observing"
TABLES = frozenset({SHARED, WHOLE, OBSERVING})

# What kernels are told that could save accumulators and shall not (`kernels/observe.py`).
NOTHING_SAVED: dict[str, Address] = {"saved": 0, "saved_row": 0, "saved_pixel": 0, "observed_mask": 0}


@dataclass(frozen=True)
class View:
    """A buffer as kernels see it: where its first pixel is, and the bytes to the next row and pixel."""

    address: Address
    layout: BufferLayout

    @property
    def row(self) -> int:
        """Bytes from one row to the next."""
        return self.layout.pitch

    @property
    def pixel(self) -> int:
        """Bytes of one pixel."""
        return self.layout.pixel


@dataclass(frozen=True)
class Row:
    """One operation before its constants have addresses; `band` says which of a step's bands it belongs to, if it has any.

    `share` is the phase of the step and the share of it that the row belongs to, where threads may run several shares at once;
    `tables` are those in which the row stands.
    """

    operation: str
    arguments: Mapping[str, Address | float]
    band: int | None
    observing: Mapping[str, Address | float] | None = None  # all arguments in tables that observe; None: the same
    tables: frozenset[str] = TABLES
    share: tuple[int, int] | None = None


@dataclass(frozen=True)
class Words:
    """One operation as words of each of `TABLES` in which it stands."""

    lines: Mapping[str, list[int]]
    share: tuple[int, int] | None


class Packer:
    """Collects rows and constants while a program is packed.

    Parameters
    ----------
    program : Program
    layout : Layout
    arena : int
        Its address.
    options : Options
    """

    def __init__(self, program: p.Program, layout: Layout, arena: int, options: Options) -> None:
        self.program, self.layout, self.arena, self.options = program, layout, arena, options
        self.rows: list[Row] = []
        self.reduced_statistics: dict[str, list[Any]] = {}  # by step: `observing.ReducedStatistics`
        self.copies: list[Any] = []  # every packed epilogue of an adapted step, `epilogues.EpilogueCopy`
        self._band: int | None = None
        self._blob = bytearray()
        self._saved_bytes = 0
        self._constant_buffers: dict[str, Constant] = {}

    def emit(self, operation: str, **arguments: Address | float) -> None:
        """Append a row; arguments are named as the kernel names them."""
        self.rows.append(Row(operation, arguments, self._band))

    @contextlib.contextmanager
    def in_band(self, band: int | None) -> Iterator[None]:
        """Emit rows that may run beside those of the step's other bands, with scratch of their own."""
        self._band = band
        yield
        self._band = None

    def emit_saving(self, operation: str, saved: Mapping[str, Address] | None, **arguments: Address | float) -> None:
        """Append a row of a kernel that can save accumulators: `saved` says where it does, in tables that observe."""
        plain = {**arguments, **NOTHING_SAVED}
        self.rows.append(Row(operation, plain, self._band, {**plain, **saved} if saved else None))

    def emit_observing(self, operation: str, **arguments: Address | float) -> None:
        """Append a row that stands in observing tables only."""
        self.rows.append(Row(operation, arguments, self._band, tables=frozenset({OBSERVING})))

    def save(self, size: int) -> SavedAddress:
        """Return where saved accumulators begin, `size` bytes of them."""
        self._saved_bytes = max(self._saved_bytes, size)
        return SavedAddress(0)

    def constant(self, array: np.ndarray) -> Constant:
        """Put `array` into the blob, aligned, and return where."""
        self._blob.extend(bytes(-len(self._blob) % ALIGNMENT))
        offset = len(self._blob)
        self._blob.extend(np.ascontiguousarray(array).tobytes())
        return Constant(offset)

    def buffer(self, name: str) -> p.Buffer:
        """Return the program's buffer called `name`."""
        return self.program.buffers[name]

    def view(self, name: str) -> View:
        """Return a buffer's memory: in the arena, or in the blob when it is constant."""
        layout = self.layout.buffers[name]
        if name in self.layout.places:
            return View(self.arena + self.layout.places[name] + layout.start_offset, layout)
        if name not in self._constant_buffers:
            self._constant_buffers[name] = self.constant(self._with_halo(name))
        return View(self._constant_buffers[name] + layout.start_offset, layout)

    def scratch(self, step: p.Step, what: str) -> int:
        """Return the address of a step's scratch, or of the band's that is being emitted."""
        return self.arena + self.layout.scratch[step.name, scratch_name(what, self._band)]

    def epilogue(self, epilogue: p.FloatEpilogue | p.IntEpilogue) -> Constant:
        """Pack an epilogue that never changes for the plain kernels."""
        return self.constant(plain_epilogue(epilogue))

    def fill_byte(self, name: str) -> int:
        """Return the byte that a buffer's halo is filled with: its zero point as stored; 0 for float32 and int16."""
        buffer = self.buffer(name)
        return (buffer.zero_point & 0xFF) ^ isa.CODE_FLIP if buffer.dtype == "int8" else 0

    def finish(self) -> tuple[list[Words], np.ndarray]:
        """Return every row as words of the table, and the blob, which must outlive them."""
        self._blob.extend(bytes(-len(self._blob) % ALIGNMENT))
        saved = len(self._blob)
        blob = aligned(saved + (self._saved_bytes + SAVED_OVERREAD if self._saved_bytes else 0) + ALIGNMENT)
        blob[: len(self._blob)] = np.frombuffer(bytes(self._blob), np.uint8)
        base = blob.ctypes.data
        known = executor.operations()

        def resolved(value: Address | float) -> int | float:
            if isinstance(value, SavedAddress):
                return base + saved + value.offset
            return base + value.offset if isinstance(value, Constant) else value

        def line(row: Row, arguments: Mapping[str, Address | float]) -> list[int]:
            # Nearly all are whole numbers, of which a large network has some ten thousand.
            numbers = {name: value if type(value) is int else resolved(value) for name, value in arguments.items()}
            return executor.row(known[row.operation], **numbers)

        words = []
        for row in self.rows:
            plain = line(row, row.arguments)
            observing = plain if row.observing is None else line(row, row.observing)
            lines = {SHARED: plain, WHOLE: plain, OBSERVING: observing}
            words.append(Words({table: lines[table] for table in row.tables}, row.share))
        return words, blob

    def _with_halo(self, name: str) -> np.ndarray:
        """Return a constant buffer as bytes, (rows * pitch + overread,)."""
        layout, value = self.layout.buffers[name], self.program.constants[name]
        top, left, bottom, right = layout.halo
        sides = ((top, bottom), (left, right), (0, 0))
        if any(layout.halo):
            value = np.pad(value, sides, constant_values=self.buffer(name).zero_point if value.dtype == np.int8 else 0)
        stored = value.view(np.uint8) ^ np.uint8(isa.CODE_FLIP) if value.dtype == np.int8 else value
        flat = np.frombuffer(np.ascontiguousarray(stored).tobytes(), np.uint8)
        return np.concatenate([flat, np.zeros(layout.overread, np.uint8)])


def plain_epilogue(epilogue: p.FloatEpilogue | p.IntEpilogue) -> np.ndarray:
    """Return an epilogue as the plain kernels read it."""
    if isinstance(epilogue, p.FloatEpilogue):
        return np.concatenate([epilogue.bias, epilogue.a, epilogue.d]).astype(np.float32)
    words = (epilogue.acc_bias, epilogue.lo, epilogue.hi, epilogue.m, epilogue.r, epilogue.s)
    records = np.stack([np.asarray(word).astype(np.int64) for word in words], axis=1)
    assert records.shape[1] == RECORD_WORDS
    return records


def suffix(dtype: str) -> str:
    """Return how the names of the plain kernels of a data type end."""
    return {"float32": "f32", "int8": "i8", "int16": "i16"}[dtype]


def scratch_name(what: str, band: int | None) -> str:
    """Return what the scratch of one band is called."""
    return what if band is None else f"{what} {band}"


def _in_large_pages(size: int) -> np.ndarray | None:
    """Return `size` zero bytes for which Linux was asked for large pages, or None where it cannot be asked."""
    if sys.platform != "linux":
        return None
    import mmap  # which no small network wants

    try:
        area = mmap.mmap(-1, size + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        area.madvise(mmap.MADV_HUGEPAGE)
    except (OSError, AttributeError):  # no memory, or a system without them
        return None
    memory = np.frombuffer(area, np.uint8)
    return memory[-memory.ctypes.data % LARGE_PAGE :][:size]


def aligned(size: int) -> np.ndarray:
    """Return `size` zero bytes that begin at a multiple of `ALIGNMENT`, many of them in large pages where there are such."""
    memory = _in_large_pages(size) if size >= MIN_IN_LARGE_PAGES else None
    if memory is not None:
        return memory
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    return memory[-memory.ctypes.data % ALIGNMENT :][:size]


def clips(epilogue: p.FloatEpilogue) -> dict[str, float]:
    """Return a float epilogue's bounds as the kernels name them."""
    return {
        "pre_low": epilogue.pre[0],
        "pre_high": epilogue.pre[1],
        "post_low": epilogue.post[0],
        "post_high": epilogue.post[1],
    }


def codes(epilogue: p.IntEpilogue) -> dict[str, int]:
    """Return what an integer epilogue has for the whole step, as the kernels name it."""
    return {"neg": int(epilogue.neg), "zero_point": epilogue.zero_point, "qmin": epilogue.qmin, "qmax": epilogue.qmax}


def epilogue_arguments(epilogue: p.FloatEpilogue | p.IntEpilogue) -> dict[str, float]:
    """Return the scalars of either kind of epilogue."""
    return clips(epilogue) if isinstance(epilogue, p.FloatEpilogue) else dict(codes(epilogue))
