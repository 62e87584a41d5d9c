"""A whole program as operation tables: its steps, and the boundary rows of each way that values can enter and leave."""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.kernels.records import CHECK_WORDS, MASK_BITS, SHARING_STATE, SHARING_THREADS, SHARING_WORDS
from edgebn.quick_dataclass import dataclass, replace
from edgebn.session import bands, direct_inputs, ndarray_struct, strip_pairs
from edgebn.session.layout import Layout, lay_out
from edgebn.session.options import DEFAULTS, Options
from edgebn.session.packer import OBSERVING, SHARED, WHOLE, Packer, Row, Words, aligned
from edgebn.session.states import States
from edgebn.session.steps import pack, scratch_of

if TYPE_CHECKING:
    from edgebn.session.pace import Pace
    from edgebn.session.refolding import Refolder
    from edgebn.session.sums import SumReader

# Bytes of an output from which on it is written to the user's array at once: below, one copy is less than many addresses.
MIN_DIRECT = 1 << 14

# Arguments that may change with an epilogue.
CHANGING = ("safe_mask", "mode", "general")


@dataclass(frozen=True)
class Table:
    """One operation table and where the user's addresses go in it.

    Attributes
    ----------
    words : ndarray of int64, shape (operations, width)
    patches : ndarray of int64, shape (inputs + outputs, 4)
        (row, column, where the address of the user's array stands, bytes a sample); every call sets the third.
    checks : ndarray of int64, shape (inputs, CHECK_WORDS), or (0, CHECK_WORDS) where codes enter
        Of float32 arrays that may hold no NaN (`records.CHECK_*`); every call sets the first word.
    inputs, outputs : tuple of str
        Buffer names, in the order of the patches.
    owners : tuple of str
        For each operation the name of the step it belongs to, or of the buffer that it fills or moves.
    tasks : (ndarray of int64, ndarray of int64), or None
        Phases and tasks that several threads may share (`bands.tasks`, `independent.at_once`).
    alone : Table, or None
        The same for one thread, nothing split, for when sharing does not pay (`pace.py`).
    threads : int
        How many may share.
    lock : int
        Address of the word that a call holds.
    places : tuple of ndarray of int64
        Of inputs and outputs that stand in the user's arrays alone: the words that `kernels.boundary.point_words` rewrites, and
        where those outputs are.
    """

    words: np.ndarray
    patches: np.ndarray
    checks: np.ndarray
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    owners: tuple[str, ...]
    tasks: tuple[np.ndarray, np.ndarray] | None
    alone: Table | None
    threads: int
    lock: int
    places: tuple[np.ndarray, ...] = ()

    def bind(self, arrays: tuple[np.ndarray, ...]) -> object:
        """Set where the addresses of the user's arrays stand: those of the inputs, then of the outputs.

        Both the arrays and what is returned must outlive the call of the executor.
        """
        if not ndarray_struct.IS_AFTER_HEAD:
            alive = ndarray_struct.data_addresses(arrays)
            self.patches[:, 2] = alive.ctypes.data + alive.itemsize * np.arange(len(alive))
            self.checks[:, 0] = self.patches[: len(self.checks), 2]
            return alive
        patches, checks = self.word_views  # memoryviews: setting an item is twice as fast as in an array
        at = 2
        for array in arrays:
            patches[at] = id(array) + ndarray_struct.HEAD
            at += 4
        for i in self._checked:
            checks[CHECK_WORDS * i] = id(arrays[i]) + ndarray_struct.HEAD
        return arrays

    @functools.cached_property
    def word_views(self) -> tuple[memoryview, memoryview]:
        """The words of `patches` and `checks`."""
        return self.patches.reshape(-1).data, self.checks.reshape(-1).data

    @functools.cached_property
    def _checked(self) -> range:
        return range(len(self.checks))

    @functools.cached_property
    def call(self) -> int:
        """The address of what the executor wants to know of this table."""
        return self._call.ctypes.data

    @functools.cached_property
    def _call(self) -> np.ndarray:
        return executor.call(self.words, self.patches, self.checks, shared=self.shared, lock=self.lock)

    @property
    def shared(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """What threads share, as `executor.call` wants it; None where one walks alone."""
        return None if self.tasks is None else (self.sharing, *self.tasks)

    @functools.cached_property
    def pace(self) -> Pace:
        """How long calls take, shared and alone."""
        from edgebn.session.pace import Pace

        return Pace()

    @functools.cached_property
    def sharing(self) -> np.ndarray:
        """The words that threads share: int64 (SHARING_WORDS,)."""
        words = aligned(SHARING_WORDS * 8).view(np.int64)
        self._begin_sharing(words)
        return words

    def dismiss_workers(self) -> None:
        """Take back what a call of another process offered to workers, and forget how long its calls took."""
        vars(self).pop("pace", None)  # a thread that is not in this process may hold its lock
        if "sharing" in vars(self):
            self._begin_sharing(self.sharing)

    def _begin_sharing(self, words: np.ndarray) -> None:
        """Write the state after a sample, nobody there."""
        assert self.tasks is not None
        words[:] = 0
        words[SHARING_STATE] = len(self.tasks[0]) << MASK_BITS
        words[SHARING_THREADS] = self.threads


def _shared(rows: Sequence[Row], threads: int, *, by_block: bool = True) -> list[Row]:
    """Return rows in shares; of one thread as they are, without what cuts others."""
    if threads == 1:
        return list(rows)
    from edgebn.session import splitting

    return splitting.shared(rows, threads, by_block=by_block)


class Packed:
    """A program in the form that the executor runs, with the memory it runs in.

    Parameters
    ----------
    program : Program
    options : Options

    Attributes
    ----------
    layout : Layout
    arena, constants : ndarray of uint8
        The tables hold addresses into both: they live as long as this object.
    lock : int
        Address of the word that every call holds while it uses them (`kernels/fast_call.py`).
    states : States
    beside : dict of str to str
        By step, in whose rows its own stand in tables that one thread walks.
    """

    def __init__(self, program: p.Program, options: Options = DEFAULTS) -> None:
        self._program = program
        threads = self._threads = 1 if bands.is_small(program) else options.threads
        overread = isa.SELECTED.vector_bytes
        self.layout: Layout = lay_out(program, lambda step: scratch_of(step, program, options), overread, threads)
        self.arena = aligned(self.layout.plan.size)
        self._packer = Packer(program, self.layout, self.arena.ctypes.data, options)
        self._fill_lasting_halos()
        # Blocks of channels have epilogues of their own, which a refold would not find.
        by_block = program.adaptation is None
        rows = self._packer.rows
        for name in program.entering:
            self._pack_halo(name)
        sections = [_shared(self._taken(), threads)]  # rows of the halos of the inputs, then of each step
        for step in program.steps:
            self._pack_halo(step.output)
            pack(step, self._packer)
            sections.append(_shared(self._taken(), threads, by_block=by_block))
        self.beside: dict[str, str] = {}
        self._go_by_strips(sections[1:])
        rows += [row for section in sections for row in section]
        ends = list(itertools.accumulate(map(len, sections)))
        constant_outputs = {name: self._packer.view(name) for name in program.leaving if name in program.constants}
        self._lock_word = aligned(8).view(np.int64)  # in a cache line of its own
        self.lock = self._lock_word.ctypes.data
        self.states = States(program, self._packer, self.lock)
        words, self.constants = self._packer.finish()
        base = self.constants.ctypes.data
        self._constant_outputs = {
            name: base + view.address.offset for name, view in constant_outputs.items() if not isinstance(view.address, int)
        }
        self._sections = [words[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
        self._tables: list[Table] = []
        self._refolder: Refolder | None = None
        self._beside: list[Packed] = []  # the same in other memory, but for the constants

    def _taken(self) -> list[Row]:
        """Take the rows that were emitted last."""
        taken = list(self._packer.rows)
        self._packer.rows.clear()
        return taken

    def _go_by_strips(self, sections: list[list[Row]]) -> None:
        """Let steps go strip by strip in tables that one thread walks: the rows of both then stand where the second's stood."""
        pairs = strip_pairs.found(self._program)
        if not pairs:
            return
        from edgebn.session import strips

        for pair in pairs:
            layout, begin = self.layout.buffers[pair.name], self.layout.places[pair.name]
            if any(layout.halo):
                continue
            place = strips.Map(self._packer.arena + begin, layout.shape[0], layout.pitch, layout.pixel)
            cut = strips.interleaved(sections[pair.first], sections[pair.second], place)
            if cut is not None:
                for section in (sections[pair.first], sections[pair.second]):
                    section[:] = [replace(row, tables=row.tables - {WHOLE}) for row in section if row.tables != {WHOLE}]
                sections[pair.second] += cut
                first, second = self._program.steps[pair.first], self._program.steps[pair.second]
                self.beside[first.name] = second.name

    @property
    def is_running(self) -> bool:
        """Whether a call holds the lock."""
        return bool(self._lock_word[0])

    def release(self) -> None:
        """Release the lock, and offer nothing to workers; for a forked process, in which nobody uses this."""
        self._lock_word[0] = 0
        for packed in self._beside:
            packed.release()
        for table in self._tables:
            table.dismiss_workers()

    def side_by_side(self, count: int, *, as_codes: bool) -> list[Table]:
        """Return `count` tables for one thread each, of which no two share memory that either writes; the first is our own."""
        known = len(self._tables)
        while len(self._beside) < count - 1:
            self._beside.append(self._copied())
        first, *others = (packed.codes if as_codes else packed.real for packed in (self, *self._beside[: count - 1]))
        if len(self._tables) > known:
            self._refolder = None  # it knows the tables there were
        return [first.alone or first, *others]

    def _copied(self) -> Packed:
        """Return the same for one thread in memory of its own: only the constants, and what folds into them, are ours."""
        import copy  # which no start needs

        other = copy.copy(self)
        for name in ("real", "codes", "real_with_buffers", "codes_with_buffers"):
            vars(other).pop(name, None)
        other.move_to(aligned(self.layout.plan.size))
        return other

    def move_to(self, arena: np.ndarray) -> None:
        """Take other memory for everything but the constants, before there is any table; of a copy, for one thread."""
        arena[:] = self.arena  # with the halos that nothing overwrites
        begin, end = self.arena.ctypes.data, self.arena.ctypes.data + self.arena.size
        apart = arena.ctypes.data - begin

        def moved(words: Words) -> Words:
            return Words({WHOLE: [word + apart if begin <= word < end else word for word in words.lines[WHOLE]]}, None)

        self._sections = [[moved(words) for words in section if WHOLE in words.lines] for section in self._sections]
        self.arena, self._threads, self._beside = arena, 1, []
        self._lock_word = aligned(8).view(np.int64)
        self.lock = self._lock_word.ctypes.data

    @property
    def _kind(self) -> str:
        """The kind of the tables that run networks."""
        return WHOLE if self._threads == 1 else SHARED

    @functools.cached_property
    def real(self) -> Table:
        """float32 in and out, quantised and dequantised where a buffer is int8."""
        return self._table(as_codes=False, kind=self._kind)

    @functools.cached_property
    def codes(self) -> Table:
        """int8 codes in and, where an output is int8, out."""
        return self._table(as_codes=True, kind=self._kind)

    @functools.cached_property
    def real_with_buffers(self) -> Table:
        """Like `real`, but every buffer leaves as it stands right after the step that makes it, int8 as codes."""
        return self._table(as_codes=False, leaving="every buffer")

    @functools.cached_property
    def codes_with_buffers(self) -> Table:
        """Like `real_with_buffers`, with int8 codes in."""
        return self._table(as_codes=True, leaving="every buffer")

    def observing(self, *, as_codes: bool) -> Table:
        """Return the table whose adapted steps gather sums, and whose logits leave before the outputs, int8 as codes."""
        return self._table(as_codes=as_codes, leaving="logits")

    @functools.cached_property
    def sums(self) -> SumReader:
        """What reads the sums that the last observing run left."""
        from edgebn.session.sums import SumReader

        adaptation = self._program.adaptation
        assert adaptation is not None
        reduced_statistics = [self._packer.reduced_statistics[layer.observation.step] for layer in adaptation.layers]
        counts = [layer.channels for layer in adaptation.layers]
        return SumReader(reduced_statistics, counts, self.constants, p.adapted_dtype(self._program) == "int8")

    def refolder(self) -> Refolder:
        """Return what folds new statistics into the epilogues, for all tables there are."""
        from edgebn.session.refolding import Refolder

        if self._refolder is None:
            if not self._tables:
                _ = self.real  # later tables take from this one the arguments that go with the epilogues
            tables = [table.words for table in self._tables]
            self._refolder = Refolder(self._program, self._packer.copies, self.constants, tables, self.lock)
        return self._refolder

    def _take_arguments(self, words: np.ndarray) -> None:
        """Give a new table the arguments that the epilogues have in the tables there are."""
        if not self._tables or not self._packer.copies:
            return
        from edgebn.session.refolding import Arguments

        for epilogue in self._packer.copies:
            old, new = (Arguments([one], self.constants.ctypes.data) for one in (self._tables[0].words, words))
            for name in CHANGING:
                places = [one.places(epilogue.place.offset, name).tolist() for one in (old, new)]
                for address in places[1]:
                    ctypes.c_int64.from_address(address).value = ctypes.c_int64.from_address(places[0][0]).value

    def _fill_lasting_halos(self) -> None:
        """Fill, once, the halos whose bytes are nobody else's."""
        for name, place in self.layout.places.items():
            layout = self.layout.buffers[name]
            if any(layout.halo) and name not in self.layout.exposed:
                self.arena[place : place + layout.size] = self._packer.fill_byte(name)

    def _pack_halo(self, name: str) -> None:
        """Emit the filling of a buffer's halo before the buffer is written, where other values stood there before."""
        if name not in self.layout.exposed:
            return
        layout = self.layout.buffers[name]
        top, left, bottom, right = layout.halo
        del top
        self._packer.emit(
            "fill_halo",
            dst=self._packer.arena + self.layout.places[name],
            row=layout.pitch,
            rows=layout.shape[0],
            start_offset=layout.start_offset,
            gap=(left + right) * layout.pixel,
            tail=right * layout.pixel + bottom * layout.pitch,
            byte=self._packer.fill_byte(name),
        )

    def _table(self, *, as_codes: bool, leaving: str = "", kind: str = SHARED) -> Table:
        """Return a table; `leaving` says what leaves besides the outputs: "every buffer" (instead of them), or "logits"."""
        every_buffer, observing = leaving == "every buffer", leaving == "logits"
        kind = OBSERVING if observing else kind
        logits = self._program.adaptation.logits if observing and self._program.adaptation is not None else ""
        known = executor.operations()
        direct = {} if leaving else self._written_to_users(as_codes=as_codes)
        rows: list[list[int]] = []
        entering: list[tuple[int, int, int, int]] = []  # patches, in the order of the user's arrays
        leaving_patches: list[tuple[int, int, int, int]] = []
        directly: dict[str, tuple[int, int, int, int]] = {}
        places: dict[str, np.ndarray] = {}
        outputs: list[str] = []
        owners: list[str] = []
        parts: list[tuple[int, int, int] | None] = []

        def add(operation_name: str, owner: str, part: tuple[int, int, int] | None = None, **arguments: Any) -> None:
            rows.append(executor.row(known[operation_name], **arguments))
            owners.append(owner)
            parts.append(part)

        def cross(name: str, *, enters: bool, as_codes: bool) -> None:
            """Emit what moves a buffer from or to the user, whose address is not known yet."""
            operation_name, arguments = self._crossing(name, entering=enters, as_codes=as_codes)
            user = "src" if enters else "dst"
            element = p.ELEMENT_BYTES[self._program.buffers[name].dtype] if as_codes else 4
            size = int(np.prod(self._program.buffers[name].shape)) * element
            patches = entering if enters else leaving_patches
            found = _shared([Row(operation_name, arguments, None)], self._threads)
            found = [row for row in found if kind in row.tables]
            column = 1 + [argument for argument, _ in known[operation_name].arguments].index(user)
            if len(found) == 1:
                patches.append((len(rows), column, 0, size))
            else:  # a row before them puts the address into all of them
                patches.append((len(rows), 1, 0, size))
                where = np.array([(len(rows) + 1 + i, row.arguments[user], column) for i, row in enumerate(found)], np.int64)
                places[f"{user} {name}"] = where
                add("point_words", name, dst=0, places=where.ctypes.data, count=len(where))
            which = -2 - len(rows)  # a step of its own
            for row in found:
                add(operation_name, name, None if row.share is None else (which, *row.share), **row.arguments)

        def move_states(*, entering: bool) -> None:
            copies = self.states.rows(self.constants, entering=entering)
            rows.extend(copies)
            owners.extend(["states"] * len(copies))
            parts.extend([None] * len(copies))

        def operations_of(section: list[Words]) -> list[tuple[list[int], tuple[int, int] | None]]:
            found = [(words.lines[kind], words.share) for words in section if kind in words.lines]
            return [(list(line), share) for line, share in found] if as_codes else found  # `take_codes` writes into them

        halos = operations_of(self._sections[0])
        rows += [line for line, _ in halos]
        owners += ["halos of the inputs"] * len(rows)
        parts += [None if share is None else (-1, *share) for _, share in halos]
        in_place = {} if leaving else direct_inputs.in_place(self._program, self.layout, as_codes=as_codes)
        arena_places: dict[str, tuple[int, int, int, int]] = {}
        direct_rows: list[int] = []
        for name in self._program.inputs:
            layout = self.layout.buffers[name]
            if name in in_place:
                direct_rows.append(len(rows))
                entering.append((len(rows), 1, 0, layout.size_of_pixels))
                rows.append([])  # written when its readers stand
                owners.append(name)
                parts.append(None)
            elif (kind == WHOLE or self._threads == 1) and not as_codes and self._program.buffers[name].dtype == "float32":
                count = layout.shape[1] * layout.shape[2]
                arena_places[name] = (
                    self.arena.ctypes.data + self.layout.places[name] + layout.start_offset,
                    layout.pitch,
                    layout.shape[0],
                    count,
                )
                entering.append((-1, 0, 0, layout.size_of_pixels))
            else:
                cross(name, enters=True, as_codes=as_codes)
        move_states(entering=True)
        if every_buffer:
            for name in self._program.entering:
                cross(name, enters=False, as_codes=True)
                outputs.append(name)
        before, ends = len(rows), list[int]()  # of the rows of each step
        for index, (step, section) in enumerate(zip(self._program.steps, self._sections[1:], strict=True)):
            lines = operations_of(section)
            for name in (name for name, writer in direct.items() if writer == step.name):
                # Before its writer's rows stands one that puts the user's address into them.
                writes = [line for line, _ in lines]
                found = self._places(name, writes, 0)
                if as_codes and not direct_inputs.take_codes(writes, found):
                    continue
                places[name] = found + np.array((len(rows) + 1, 0, 0))
                directly[name] = len(rows), 1, 0, self.layout.buffers[name].size_of_pixels
                add("point_words", name, dst=0, places=places[name].ctypes.data, count=len(places[name]))
            rows += [line for line, _ in lines]
            owners += [step.name] * len(lines)
            parts += [None if share is None else (index, *share) for _, share in lines]
            ends.append(len(rows))
            if every_buffer or step.output == logits:
                cross(step.output, enters=False, as_codes=True)
                outputs.append(step.output)
        if not every_buffer:
            for name in self._program.outputs:
                if name in directly:
                    leaving_patches.append(directly[name])
                else:
                    cross(name, enters=False, as_codes=as_codes)
                outputs.append(name)
        move_states(entering=False)
        others = np.array([(place[0], place[3]) for place in directly.values()], np.int64).reshape(-1, 2)
        for at in direct_rows:
            direct_input = in_place[owners[at]]
            beside = self.beside if kind == WHOLE else {}
            last = direct_input.last + (self._program.steps[direct_input.last].name in beside)
            found = self._places(direct_input.name, rows[at + 1 : ends[last]], at + 1)
            is_direct = direct_inputs.reaches_all(direct_input, found, owners, beside)
            if is_direct and (not as_codes or direct_inputs.take_codes(rows, found)):
                places[f"src {direct_input.name}"] = found
                arena_place = self.arena.ctypes.data + self.layout.places[direct_input.name]
                size, overread = self.layout.buffers[direct_input.name].size_of_pixels, 0 if as_codes else isa.SELECTED.vector_bytes
                rows[at] = direct_inputs.row(size, arena_place, found, others, overread)
            else:
                operation_name, arguments = self._crossing(direct_input.name, entering=True, as_codes=as_codes)
                rows[at] = executor.row(known[operation_name], **arguments)
        width = executor.table_width()
        words = np.zeros((len(rows), width), np.int64)
        for line, row in zip(words, rows, strict=True):
            line[: len(row)] = row
        for found in places.values():  # from (row, column) to addresses
            found[:, 0] = words.ctypes.data + words.itemsize * (found[:, 0] * width + found[:, 2])
        others[:, 0] = words.ctypes.data + words.itemsize * (others[:, 0] * width + 1)
        where = np.array([*entering, *leaving_patches], np.int64).reshape(-1, 4)
        counts = {name: int(np.prod(self._program.buffers[name].shape)) for name in self._program.inputs}
        checks = [direct_inputs.check(count, arena_places.get(name)) for name, count in counts.items() if not as_codes]
        self._take_arguments(words)
        self._refolder = None  # it knows the tables there were
        tasks = bands.tasks(parts) if kind != WHOLE else None
        if tasks is not None and kind == SHARED and not leaving:
            from edgebn.session import independent, touched

            whose = touched.Rows(words, owners, [before, *ends], [*places.values()])
            tasks = independent.at_once(tasks, whose, self._program, self.layout, self.arena.ctypes.data, self._threads)
        alone = self._table(as_codes=as_codes, kind=WHOLE) if tasks is not None and not leaving else None
        self._tables.append(
            Table(
                words=words,
                patches=where,
                checks=np.array(checks, np.int64).reshape(-1, CHECK_WORDS),
                inputs=self._program.inputs,
                outputs=tuple(outputs),
                owners=tuple(owners),
                tasks=tasks,
                alone=alone,
                threads=self._threads,
                lock=self.lock,
                places=(*places.values(), others),
            )
        )
        return self._tables[-1]

    def _written_to_users(self, *, as_codes: bool) -> dict[str, str]:
        """Return the outputs that the step which makes them may write to the user's array at once, and that step.

        Those that are large, lie as the user's array does and that no step reads: they need not be whole in the arena.
        """
        program, made = self._program, {step.output: step for step in self._program.steps}
        read = {name for step in program.steps for name in step.inputs} | {state.writes for state in program.states}
        found = {}
        for name in program.outputs:
            layout, writer = self.layout.buffers[name], made.get(name)
            is_other = program.buffers[name].dtype != ("int8" if as_codes else "float32")
            if writer is None or name in read or is_other or any(layout.halo):
                continue
            if as_codes and not isinstance(writer, direct_inputs.TAKE_CODES):
                continue
            shares = isinstance(writer, p.Reshape) and self.layout.places.get(writer.inputs[0]) == self.layout.places[name]
            if not shares and layout.size_of_pixels >= MIN_DIRECT:
                found[name] = writer.name
        return found

    def _places(self, name: str, lines: list[list[int]], first_row: int) -> np.ndarray:
        """Return where rows hold addresses within a buffer, int64 (n, 3): row, offset in the buffer, column."""
        begin = self.arena.ctypes.data + self.layout.places[name]
        size = self.layout.buffers[name].size_of_pixels
        found = [
            (first_row + index, word - begin, column)
            for index, line in enumerate(lines)
            for column, word in enumerate(line)
            if begin <= word < begin + size
        ]
        return np.array(found, np.int64).reshape(-1, 3)

    def _crossing(self, name: str, *, entering: bool, as_codes: bool) -> tuple[str, dict[str, int | float]]:
        """Return the operation that moves a buffer between the arena and the user's dense array, and its arguments."""
        buffer, layout = self._program.buffers[name], self.layout.buffers[name]
        place = self._constant_outputs.get(name)
        if place is None:
            place = self.arena.ctypes.data + self.layout.places[name] + layout.start_offset
        rows, count = layout.shape[0], layout.shape[1] * layout.shape[2]
        if layout.pitch == count * layout.element:  # nothing is between the rows: one long one, for short ones cost more
            rows, count = 1, rows * count
        arguments: dict[str, int | float] = {"rows": rows}
        if not p.holds_codes(buffer):
            operation, ours, users, arguments["count"] = "copy_rows", layout.pitch, count * 4, count * 4
        elif as_codes and buffer.dtype == "int16":
            operation, ours, users, arguments["count"] = "copy_rows", layout.pitch, count * 2, count * 2
        elif as_codes:
            operation, ours, users, arguments["count"] = "flip_rows", layout.pitch, count, count
        else:
            operation = ("quantize_rows" if entering else "dequantize_rows") + ("_i16" if buffer.dtype == "int16" else "")
            ours, users, arguments["count"] = layout.pitch, count * 4, count
            arguments |= {"scale": buffer.scale, "zero_point": buffer.zero_point}
        inside, outside = ("dst", "src") if entering else ("src", "dst")
        return operation, arguments | {inside: place, f"{inside}_row": ours, outside: 0, f"{outside}_row": users}
