"""The session: holds a packed program, checks what the user passes, and makes one call for a whole batch."""

from __future__ import annotations

import functools
import math
import time
import weakref
from _thread import allocate_lock  # all that a start needs of `threading`
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from edgebn.arguments import check_flag, checked_count, checked_program
from edgebn.errors import EdgebnError, ModelError
from edgebn.kernels.records import LEARNED
from edgebn.memory import Plan
from edgebn.paused_gc import paused_gc
from edgebn.program import Program, adapted_dtype, flipped, result_dtype, takes_codes
from edgebn.quick_dataclass import dataclass
from edgebn.session import arrays, ndarray_struct
from edgebn.session.bands import is_brief, least_batch
from edgebn.session.fast_call import FastCall, fast_call
from edgebn.session.forking import Lost, inherited_by_forks
from edgebn.session.options import AUTO, Options

if TYPE_CHECKING:
    from edgebn.session.learning import Learner, Rule
    from edgebn.session.workers import Workers

FLOAT32, UINT8 = np.dtype(np.float32), np.dtype(np.uint8)
# Modules that no session needs but one of several threads, or one that adapts.
BY_THREADS = ("batches", "independent", "pace", "touched", "workers")
BY_ADAPTATION = ("refolding", "sums")


@dataclass(frozen=True)
class Observation:
    """What one sample gave and showed.

    Attributes
    ----------
    outputs : dict of str to ndarray, shape (1, ...)
    logits : ndarray, shape (classes,)
        Of the buffer that predictions are read from: codes, or float32; empty where the network does not classify.
    first, second : ndarray, shape (channels,)
        S1 and S2 of all adapted steps (`adaptation.Observation`).
    """

    outputs: dict[str, np.ndarray]
    logits: np.ndarray
    first: np.ndarray
    second: np.ndarray


class Session:
    """Runs a program through the compiled kernels.

    Everything is packed and every byte of working memory is allocated here; `run` allocates nothing but the result. Different
    sessions run at once in different threads (kernels release Python's lock where they take more than some microseconds); one
    session used from several threads runs one batch after the other.

    Parameters
    ----------
    program : Program
    threads : int or "auto"
        How many threads may share one inference: every operation that costs anything is split (`docs/speed.md`), and small networks
        run on one. Of a batch each thread takes samples of its own, in working memory of its own, where that is faster. Results are
        the same bytes for every number. "auto" measures once, with one sample, in about half a second, which number is
        fastest on this machine. The default is one, which leaves the other cores to what else runs, further sessions among it.
    winograd : bool
        Whether convolutions may use Winograd's algorithm where it is faster (`docs/speed.md` states its error in float32;
        int8 bytes are the same); False computes the products of the definition.

    Raises
    ------
    ModelError
        No program, threads neither a positive number nor "auto", `winograd` neither True nor False, or `EDGEBN_ISA` names an
        instruction set that this CPU lacks.
    EdgebnError
        No kernels were shipped for this CPU and Numba is not installed.

    Examples
    --------
    >>> session = Session(program)  # doctest: +SKIP
    >>> y = session.run(images)  # (N, H, W, C) float32 -> (N, classes) float32  # doctest: +SKIP
    """

    def __init__(self, program: Program, threads: int | str = 1, *, winograd: bool = True) -> None:
        checked_program(program, "edgebn.Session")
        check_flag(winograd, "winograd")
        threads = self._counted(program, threads, winograd=winograd)
        try:
            from edgebn.kernels import executor, isa, native
        except ValueError as error:  # isa.IsaError: the module that defines it is the one that failed to import
            raise ModelError(str(error)) from None
        self._program, self._threads = program, threads
        self._options = Options(threads=threads, winograd=winograd)
        try:
            with paused_gc(wanted=native.load() is not None):  # a compiler would leave a lot
                from edgebn.session.tables import Packed, Table

                self._packed = Packed(program, self._options)
                self._import_for_calls()
            self._execute = executor.executor(program.executor_dtype)
        except executor.NoKernelsError as error:
            raise EdgebnError(str(error)) from None
        self._lock: AbstractContextManager[Any] = allocate_lock()
        self._folding = False  # whether epilogues, or the statistics they come from, are being written
        self._observing: dict[bool, Any] = {}
        self._folded: np.ndarray | None = None  # float32 (2, channels): drift and ratio that the epilogues have; None the factory's
        self._adapter: weakref.ref[Any] | None = None
        self._isa = isa.SELECTED.name
        self._usual: FastCall | None = None  # what the last fast call was made by
        self._first, self._enters_alone = program.inputs[0], len(program.inputs) == 1
        inherited_by_forks(self, Session, Packed, Table)

    def _import_for_calls(self) -> None:
        """Import all that calls want.

        A process forked while another thread imports a module waits for that module for ever.
        """
        wanted = BY_THREADS if self._threads > 1 else ()
        for name in (*wanted, *(BY_ADAPTATION if self._program.adaptation is not None else ())):
            import_module(f"edgebn.session.{name}")

    @staticmethod
    def _counted(program: Program, threads: int | str, *, winograd: bool) -> int:
        """Return the number of threads that was given, or that is best."""
        if threads != AUTO:
            return checked_count(threads, "threads", or_else=AUTO)
        from edgebn.session import choosing

        return choosing.chosen(program, lambda count: Session(program, count, winograd=winograd))

    def inherit(self) -> None:
        """Make the session usable in a process that was just forked, where the threads that used it are not; `forking` calls it."""
        self._lock = allocate_lock()
        is_running = self._packed.is_running
        self._packed.release()
        for name in ("_workers", "_on_codes", "_on_reals"):  # the fast calls know the workers
            vars(self).pop(name, None)
        self._usual = None
        if self._folding or (self._program.states and is_running):
            self._lock = Lost(self._program.source)
            vars(self).update(_on_codes=None, _on_reals=None)  # no way around the lock

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, or what another process unpickles, is a session of its own, made anew.

        It has the statistics folded here, and states that hold what these hold now.
        """
        taken = self.folded, self._saved_states()
        return (
            functools.partial(Session, self._program, **vars(self._options)),
            (),
            None if all(one is None for one in taken) else taken,
        )

    def __setstate__(self, taken: tuple[np.ndarray | None, np.ndarray | None]) -> None:
        """Fold and hold what `__reduce__` took along."""
        folded, states = taken
        if folded is not None:
            self.refold(*folded)
        if states is not None:
            with self._writing():
                self._packed.states.snapshot[:] = states
                self._execute(self._packed.states.restore, 1, 0)

    def _saved_states(self) -> np.ndarray | None:
        """Return the bytes that the states hold, or None where there are none."""
        if not len(self._packed.states):
            return None
        with self._lock:
            self._execute(self._packed.states.save, 1, 0)
            return self._packed.states.snapshot.copy()

    def reset_state(self) -> None:
        """Give every state of the network its initial value: the next sample begins a new sequence.

        A session of a network without states has nothing to reset.
        """
        if len(self._packed.states):
            with self._writing():
                self._execute(self._packed.states.reset, 1, 0)

    @property
    def folded(self) -> np.ndarray | None:
        """A copy of the (drift, ratio) that the epilogues have, float32 (2, channels), or None where nothing was ever folded."""
        with self._lock:
            return None if self._folded is None else self._folded.copy()

    def adopt(self, adapter: Any) -> None:
        """Belong to `adapter`, and no more to another; for `edgebn.Adapter`."""
        self._adapter = weakref.ref(adapter)

    def is_adapted_by(self, adapter: Any) -> bool:
        """Whether `adapter` is the last that adopted this session."""
        return self._adapter is not None and self._adapter() is adapter

    @property
    def program(self) -> Program:
        """The program that runs."""
        return self._program

    @property
    def plan(self) -> Plan:
        """The arena: its size in bytes, its proved lower bound, and where everything stands."""
        return self._packed.layout.plan

    @property
    def threads(self) -> int:
        """How many threads may share an inference: as given, or as `"auto"` found best."""
        return self._threads

    @property
    def is_shared(self) -> bool:
        """Whether threads share inferences: not with one, and not where the network is too small."""
        table = self._packed.codes if takes_codes(self._program) else self._packed.real
        return table.tasks is not None

    @property
    def instruction_set(self) -> str:
        """The name of the instruction set that the kernels use."""
        return self._isa

    def run(self, x: Any, out: Any = None) -> Any:
        """Run a batch, sample after sample in order: the states of a network go from each to the next, and to later calls.

        Parameters
        ----------
        x : array, shape (N, ...), or dict of input name to such
            float32: real values, which are quantised where an input holds codes. int8 or int16: codes, of a program whose
            inputs all hold such; int16 numbers for an int8 input are real values. uint8: codes too, where the file has
            uint8 codes. Other real types (float64, uint8 images elsewhere, ...) are converted to float32 first; C-contiguous
            float32 arrays and codes are read in place.
        out : array, shape (N, ...), or dict of output name to such, optional
            C-contiguous, of the result's type: results are written there. It may be x, or overlap it; two outputs may not overlap.

        Returns
        -------
        ndarray, shape (N, ...), or dict of output name to such
            Real values in float32; where codes came in, the codes of outputs that hold such, in their type (in uint8 where uint8
            came in and the file has uint8 there). A dict where the network has several outputs. The arrays are the caller's.

        Raises
        ------
        ModelError
            A value of the wrong shape or type, one that holds NaN, or an unfit `out`.
        """
        usual = self._usual
        if usual is not None:
            result = usual(x, out)
            if result is not None:
                return result
        return self._run(x, out)

    def _run(self, x: Any, out: Any) -> Any:
        """Run a batch by the fast call of its type, which is then the usual one, or by the general way."""
        first = x if self._enters_alone else x.get(self._first) if type(x) is dict else None
        if type(first) is ndarray:
            dtype = first.dtype
            fast_call = self._on_reals if dtype is FLOAT32 else self._on_codes if dtype is self._codes else None
            if fast_call is not None and fast_call is not self._usual:
                result = fast_call(x, out)
                if result is not None:
                    self._usual = fast_call
                    return result
            if dtype is UINT8 and out is None and self._takes_uint8 and self._on_codes is not None:
                result = self._on_codes(flipped(first), None)
                if result is not None:
                    return self._as_uint8(result)
        unsigned = arrays.is_unsigned(self._program, x)
        if unsigned:
            wanted, out = out, arrays.as_signed(self._program, out)
        inputs, batch, as_codes = arrays.accept(self._program, x)
        taken = arrays.results(self._program, out, batch, as_codes=as_codes)
        if out is not None and batch > 1:
            inputs = arrays.apart(inputs, taken)
        table = self._packed.codes if as_codes else self._packed.real
        arrays_of_table = (*inputs.values(), *(taken[name] for name in table.outputs))
        if self._threads > 1 and batch >= self._least_batch and not self._program.states:
            self._call_by_threads(table, arrays_of_table, batch, is_result_users=out is not None)
        else:
            self._call(table, arrays_of_table, batch)
        if unsigned:
            taken = arrays.as_unsigned(self._program, taken)
            if wanted is not None:
                return wanted
        return taken if len(taken) > 1 else taken[self._program.outputs[0]]

    def run_buffers(self, x: Any) -> dict[str, np.ndarray]:
        """Run a batch and return the value of every buffer as the kernels left it; states go on as in `run`.

        Parameters
        ----------
        x : array or dict
            As for `run`.

        Returns
        -------
        dict of str to ndarray, shape (N, H, W, C)
            Inputs, what states held before, and every step's output by buffer name, float32 or int8 codes; constants are left out.
        """
        inputs, batch, as_codes = arrays.accept(self._program, x)
        table = self._packed.codes_with_buffers if as_codes else self._packed.real_with_buffers
        buffers = [self._program.buffers[name] for name in table.outputs]
        taken = {buffer.name: np.empty((batch, *buffer.shape), buffer.dtype) for buffer in buffers}
        self._call(table, (*inputs.values(), *taken.values()), batch)
        return taken

    def observe(self, x: dict[str, np.ndarray]) -> Observation:
        """Run one sample and gather what the adapted steps see; for `edgebn.Adapter`.

        Parameters
        ----------
        x : dict of input name to ndarray, shape (1, ...)
            C-contiguous float32, or int8 codes.

        Raises
        ------
        ModelError
            A value holds NaN.
        """
        table, taken = self._observing_table(x)
        adaptation = self._program.adaptation
        assert adaptation is not None
        outputs = [taken[name] for name in self._program.outputs]
        buffer = self._program.buffers[adaptation.logits] if adaptation.classes else None
        logits = np.empty(0, np.float32) if buffer is None else np.empty(math.prod(buffer.shape), buffer.dtype)
        if adaptation.classes:
            outputs.insert(0, logits)
        with self._lock:
            self._execute_table(table, (*x.values(), *outputs), 1)
            first, second = self._packed.sums.read()
        return Observation(taken, logits, first, second)

    def learner(self, rule: Rule) -> Learner:
        """Return what learns by a compiled rule beside this session; for `edgebn.Adapter`."""
        from edgebn.session.learning import Learner

        adaptation = self._program.adaptation
        assert adaptation is not None
        buffer = self._program.buffers[adaptation.logits]
        logits = np.full(adaptation.classes, buffer.zero_point, buffer.dtype)  # what a single one is held against is 0
        left = logits[-math.prod(buffer.shape) :]
        return Learner(rule, adapted_dtype(self._program), logits, left, self._packed.sums, self._packed.constants)

    def learn(self, learner: Learner, x: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[int]]:
        """Run one sample, learn from what its adapted steps show, and fold what was learned; for `edgebn.Adapter`.

        Parameters
        ----------
        learner : Learner
            Of this session.
        x : dict of input name to ndarray, shape (1, ...)
            As for `observe`.

        Returns
        -------
        outputs : dict of str to ndarray, shape (1, ...)
        refused : list of int
            As from `refold`. `learner` says what else came of it.

        Raises
        ------
        ModelError
            A value holds NaN; nothing was then learned.
        """
        table, taken = self._observing_table(x)
        arrays_out = (learner.left, *(taken[name] for name in self._program.outputs))
        with self._writing():
            self._execute_table(table, (*x.values(), *arrays_out), 1)
            self._execute(learner.learn, 1, 0)
            refused = self._fold(learner.drift, learner.ratio) if learner.status == LEARNED and learner.needs_fold() else []
        return taken, refused

    def begin(self, learner: Learner) -> list[int]:
        """Fold what a state set into `learner` says; return the indices of the steps that refused."""
        with self._writing():
            learner.prepare()
            self._execute(learner.begin, 1, 0)
            return self._fold(learner.drift, learner.ratio)

    def _observing_table(self, x: dict[str, np.ndarray]) -> tuple[Any, dict[str, np.ndarray]]:
        """Return the table that observes for inputs like `x`, and arrays for one sample's outputs."""
        as_codes = next(iter(x.values())).dtype != FLOAT32
        with self._lock:  # a new table takes what is folded
            table = self._observing.get(as_codes)
            if table is None:
                table = self._observing[as_codes] = self._packed.observing(as_codes=as_codes)
        return table, arrays.results(self._program, None, 1, as_codes=as_codes)

    def refold(self, drift: np.ndarray, ratio: np.ndarray) -> list[int]:
        """Fold new statistics into the epilogues of the adapted steps, between two inferences; for `edgebn.Adapter`.

        Parameters
        ----------
        drift, ratio : ndarray of float32, shape (channels,)
            Of all adapted steps (`edgebn.reference.refold` says what they mean); 0 and 1 are the factory's, bit for bit.

        Returns
        -------
        list of int
            Indices of the adapted steps whose numbers would have left their range: their epilogues stay as they were.
        """
        with self._writing():
            return self._fold(drift, ratio)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the session while statistics and epilogues change: a fork in the middle leaves halves of both."""
        with self._lock:
            self._folding = True
            try:
                yield
            finally:
                self._folding = False

    def _fold(self, drift: np.ndarray, ratio: np.ndarray) -> list[int]:
        refolder = self._packed.refolder()
        refolder.drift[:], refolder.ratio[:] = drift, ratio
        self._execute(refolder.call, 1, 0)
        refused = refolder.refused()
        self._keep(drift, ratio, refused)
        return refused

    def _keep(self, drift: np.ndarray, ratio: np.ndarray, refused: list[int]) -> None:
        """Remember what was folded: the steps that refused have what they had."""
        if self._folded is None:
            self._folded = np.stack([np.zeros_like(drift), np.ones_like(ratio)])
        before = self._folded.copy() if refused else self._folded
        self._folded[0], self._folded[1] = drift, ratio
        if refused:
            assert self._program.adaptation is not None
            counts = [layer.channels for layer in self._program.adaptation.layers]
            for i in refused:
                channels = slice(sum(counts[:i]), sum(counts[: i + 1]))
                self._folded[:, channels] = before[:, channels]

    @functools.cached_property
    def _codes(self) -> np.dtype[Any] | None:
        """The type of the codes that every input holds, if all hold the same."""
        kinds = {self._program.buffers[name].dtype for name in self._program.inputs}
        return np.dtype(kinds.pop()) if len(kinds) == 1 and takes_codes(self._program) else None

    @functools.cached_property
    def _takes_uint8(self) -> bool:
        """Whether the only input is uint8 in the file."""
        return len(self._program.inputs) == 1 and bool(self._program.buffers[self._first].unsigned)

    def _as_uint8(self, result: Any) -> Any:
        """Return what the fast call gave, the codes of uint8 outputs as such."""
        taken = result if type(result) is dict else {self._program.outputs[0]: result}
        arrays.as_unsigned(self._program, taken)
        return taken if len(taken) > 1 else taken[self._program.outputs[0]]

    @functools.cached_property
    def _on_codes(self) -> FastCall | None:
        return None if self._codes is None else self._fast_call(self._codes)

    @functools.cached_property
    def _on_reals(self) -> FastCall | None:
        return self._fast_call(FLOAT32)

    def _fast_call(self, dtype: np.dtype[Any]) -> FastCall | None:
        program = self._program
        if not ndarray_struct.ARE_KNOWN:
            return None
        as_codes = dtype is not FLOAT32
        table = self._packed.codes if as_codes else self._packed.real
        input_layouts = [((1, *program.shapes[name]), dtype) for name in table.inputs]
        made = [np.dtype(result_dtype(program, name, as_codes=as_codes)) for name in table.outputs]
        output_layouts = [((1, *program.shapes[name]), one) for name, one in zip(table.outputs, made, strict=True)]
        workers = None if table.tasks is None else self._workers
        lock, brief = self._packed.lock, is_brief(program)
        return fast_call(table, program.executor_dtype, lock, input_layouts, output_layouts, workers, is_brief=brief)

    def _call(self, table: Any, arrays: tuple[np.ndarray, ...], batch: int) -> None:
        """Run `batch` samples between the user's arrays: those of the table's inputs, then of its outputs."""
        with self._lock:
            self._execute_table(table, arrays, batch)

    def _call_by_threads(self, table: Any, arrays: tuple[np.ndarray, ...], batch: int, *, is_result_users: bool) -> None:
        """Run `batch` samples, which do not depend on each other, like `_call`: side by side, or in turn where that is faster."""
        from edgebn.session.batches import nan_in

        with self._lock:
            pace = self._workers.pace(batch)
            begun = time.perf_counter()
            if pace.shares:
                tables = self._packed.side_by_side(self._threads, as_codes=table is self._packed.codes)
                failed = nan_in(arrays[: len(table.inputs)]) if is_result_users else 0  # before any of theirs is written
                self._refuse(failed or self._workers.run_side_by_side(tables, arrays, batch))
            else:
                self._execute_table(table, arrays, batch)
            pace.note((time.perf_counter() - begun) / batch)

    def _execute_table(self, table: Any, arrays: tuple[np.ndarray, ...], batch: int) -> None:
        if table.tasks is None:
            alive = table.bind(arrays)
            failed = self._execute(table.call, batch, 0)
            del alive
        else:  # threads can share it
            failed = self._workers.run(table, arrays, batch)
        self._refuse(failed)

    def _refuse(self, failed: int) -> None:
        """Raise what the executor found, if anything: 1 + the index of the input that holds a NaN."""
        if failed:
            name = self._program.inputs[failed - 1]
            raise ModelError(f"{self._program.source}: the value for input '{name}' holds NaN; clean the input first")

    @functools.cached_property
    def _least_batch(self) -> int:
        """The fewest samples that threads share out among them."""
        return max(self._threads, least_batch(self._program))

    @functools.cached_property
    def _workers(self) -> Workers:
        """Threads that sleep between batches, made when first needed; they end with the session."""
        from edgebn.session.workers import Workers

        found = Workers(self._execute, self._threads - 1)
        weakref.finalize(self, found.dismiss)
        return found
