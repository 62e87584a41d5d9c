"""Steps that do not depend on each other run at once, where they do not in memory either, and give the same bytes in any order."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.session import Session, independent, touched
from tests.adaptations import with_adaptation
from tests.programs import KINDS, PURE, STEEP, Maker, inputs_for, programs, single, stateful

THREADS = (2, 3, 4)

pytestmark = pytest.mark.usefixtures("eager")


@st.composite
def branching(draw, dtype):
    """Networks of a step and several branches of one to three, whose steps come in any order; all that nothing reads leaves."""
    maker = Maker(draw, dtype, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    x = maker.buffer((draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.sampled_from([3, 8, 17, 32]))))
    kinds = [*(kind for kind in PURE[dtype] if kind not in STEEP), *["convolution"] * 6]
    trunk = getattr(maker, f"step_{draw(st.sampled_from(kinds))}")(x)
    ends = [draw(st.sampled_from([x, trunk])) for _ in range(draw(st.integers(2, 4)))]
    read = {x}
    for _ in range(draw(st.integers(len(ends), 8))):
        branch = draw(st.integers(0, len(ends) - 1))
        if np.prod(maker.shape(ends[branch])) <= 20_000:
            read.add(ends[branch])
            ends[branch] = getattr(maker, f"step_{draw(st.sampled_from(kinds))}")(ends[branch])
    read |= {name for step in maker.steps for name in step.inputs}
    outputs = tuple(step.output for step in maker.steps if step.output not in read)
    return maker.program((x,), outputs)


class Walk:
    """One sample of a session's table, task by task."""

    def __init__(self, session, x):
        program, self.packed = session._program, session._packed
        as_codes = x.dtype != np.float32
        self.table = self.packed.codes if as_codes else self.packed.real
        self.inputs = [np.ascontiguousarray(x[:1])]
        kinds = {name: "float32" if not as_codes or program.buffers[name].dtype == "int32" else None for name in program.outputs}
        self.outputs = {
            name: np.zeros((1, *program.shapes[name]), kind or p.result_dtype(program, name, as_codes=as_codes))
            for name, kind in kinds.items()
        }
        for patch, array in zip(self.table.patches, (*self.inputs, *self.outputs.values()), strict=True):
            self.table.words[patch[0], patch[1]] = array.ctypes.data
        self._run = executor.executor(program.executor_dtype)

    def rows(self, first, end):
        call = executor.call(self.table.words[first:end])
        self._run(call.ctypes.data, 1, 0)

    def bytes_of(self, order):
        """Return the outputs when the tasks of each phase go in some order."""
        phases, tasks = self.table.tasks
        for begin, count in phases.tolist():
            for index in order(range(begin, begin + count)):
                self.rows(*tasks[index].tolist())
        return {name: array.tobytes() for name, array in self.outputs.items()}


def expected_of(program, x):
    found = Session(program).run(x[:1])
    return {name: array.tobytes() for name, array in (found if isinstance(found, dict) else {program.outputs[0]: found}).items()}


def assert_any_order_is_right(program, threads=3, seed=0):
    """Return whether steps shared a phase."""
    x, draw = inputs_for(program, 1), random.Random(seed)
    session = Session(program, threads=threads)
    walk = Walk(session, x)
    if walk.table.tasks is None:
        return False
    expected = expected_of(program, x)
    for order in (list, lambda tasks: tasks[::-1], lambda tasks: draw.sample(tasks, len(tasks))):
        assert walk.bytes_of(order) == expected
    return any(len(owners) > 1 for owners in phases_by_owner(walk.table))


def phases_by_owner(table):
    """Return the steps and buffers to which the rows of each phase belong."""
    phases, tasks = table.tasks
    return [
        {table.owners[row] for first, end in tasks[begin : begin + count].tolist() for row in range(first, end)}
        for begin, count in phases.tolist()
    ]


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_tasks_of_a_phase_may_go_in_any_order(dtype):
    shared = []

    @given(branching(dtype))
    def check(program):
        shared.append(assert_any_order_is_right(program))

    check()
    assert sum(shared) > len(shared) // 4


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("dtype", ["float32", "int8", "mixed"])
def test_tasks_of_all_kinds_of_steps_may_go_in_any_order(dtype):
    @given(programs(dtype))
    def check(program):
        assert_any_order_is_right(program)

    check()


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_threads_give_the_bytes_of_one(dtype):
    @settings(max_examples=15, deadline=None)
    @given(branching(dtype))
    def check(program):
        x = inputs_for(program, 2)
        expected = Session(program).run(x)
        for threads in THREADS:
            session = Session(program, threads=threads)
            for _ in range(10):
                found = session.run(x)
                for name in program.outputs:
                    a, b = (value[name] if isinstance(value, dict) else value for value in (found, expected))
                    assert a.tobytes() == b.tobytes()

    check()


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_states_go_on_as_on_one_thread(dtype):
    @given(stateful(dtype))
    def check(program):
        x = inputs_for(program, 4)
        one, several = Session(program).run(x), Session(program, threads=3).run(x)
        for name in program.outputs:
            a, b = (value[name] if isinstance(value, dict) else value for value in (one, several))
            assert a.tobytes() == b.tobytes()

    check()


def watched(monkeypatch):
    """Return the arguments of the last call of `independent.at_once`."""
    seen, original = [], independent.at_once

    def watching(*arguments):
        seen[:] = [arguments]
        return original(*arguments)

    monkeypatch.setattr(independent, "at_once", watching)
    return seen


@pytest.mark.parametrize("dtype", ["float32", "int8", "mixed"])
def test_rows_touch_no_more_than_is_said_of_them(dtype, monkeypatch):
    """What they write is in the bytes they are said to write, and other bytes change nothing of it."""
    seen, rng, phases_seen = watched(monkeypatch), np.random.default_rng(0), []

    def look_at(program):
        seen.clear()
        session = Session(program, threads=3)
        walk = Walk(session, inputs_for(program, 1))
        if not seen:
            return
        tasks, rows, program, layout, base, _ = seen[0]
        arena = walk.packed.arena
        spans = [(phase[0][0], phase[-1][1]) for phase in independent._by_owner(tasks, rows)]
        for span, found in zip(spans, touched.touched(program, layout, base, rows, spans), strict=True):
            phases_seen.append(found)
            mine, written = np.zeros((2, len(arena)), bool)
            for begin, end in (*found.reads, *found.writes):
                mine[max(begin - base, 0) : max(end - base, 0)] = True
            for begin, end in found.writes:
                written[max(begin - base, 0) : max(end - base, 0)] = True
            before = arena.copy()
            noise = np.where(mine, before, rng.integers(0, 256, len(arena), np.uint8))
            users = []
            arena[:] = noise
            walk.rows(*span)
            with_noise = arena.copy()
            users.append([array.tobytes() for array in walk.outputs.values()])
            arena[:] = before
            walk.rows(*span)
            users.append([array.tobytes() for array in walk.outputs.values()])
            assert users[0] == users[1]
            assert np.array_equal(arena[~written], before[~written])
            assert np.array_equal(with_noise[~written], noise[~written])
            assert np.array_equal(with_noise[mine], arena[mine])

    @given(programs(dtype) if dtype == "mixed" else st.one_of(programs(dtype), branching(dtype)))
    def check(program):
        look_at(program)

    check()
    if dtype != "mixed":
        for kind in KINDS[dtype]:

            @settings(max_examples=5, deadline=None)
            @given(single(kind, dtype))
            def check_kind(program):
                look_at(program)

            check_kind()
    assert phases_seen


def convolution(maker, x, channels, kernel=1):
    shape = (*maker.shape(x)[:2], channels)
    y = maker.buffer(shape)
    weight = maker.rng.standard_normal((channels, kernel, kernel, maker.shape(x)[2])).astype(np.float32) / 8
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    pad = kernel // 2
    return maker.finish_step(p.Convolution(f"to {y}", (x,), y, weight, p.FloatEpilogue(zeros, ones, zeros), padding=(pad,) * 4))


def made(names, outputs=1, size=12):
    """Return a program: for each of `names` of a step, "NAME from NAME: channels", a convolution; the last ones leave."""
    maker = Maker(None, "float32", np.random.default_rng(0))
    values = {"x": maker.buffer((size, size, 16))}
    for line in names:
        name, source, channels = line.replace(" from ", ":").split(":")
        values[name] = convolution(maker, values[source], int(channels))
    return maker.program((values["x"],), tuple(list(values.values())[-outputs:])), values


def together(program, threads=2):
    """Return the steps that share phases, by what they write."""
    table = Session(program, threads=threads)._packed.real
    writes = {step.name: step.output for step in program.steps}
    found = [sorted(writes[owner] for owner in owners if owner in writes) for owners in phases_by_owner(table)]
    return [one for one in found if len(one) > 1]


@pytest.mark.usefixtures("everything")
def test_branches_share_phases_and_what_depends_does_not():
    program, values = made(["a from x:16", "b from x:16", "c from a:16"], outputs=2)
    assert together(program) == [[values["a"], values["b"]]]
    chain, _ = made(["a from x:16", "b from a:16", "c from b:16"])
    assert together(chain) == []


OVERLAP = ["a from x:64", "b from a:8", "c from x:64", "d from c:8"]


def overlapping():
    """Return a program whose step `c` depends on neither `a` nor `b`, and is put where `a` stood, which `b` reads."""
    program, values = made(OVERLAP, outputs=1)
    read = replace(program, outputs=(values["b"], values["d"]), shapes={**program.shapes, values["b"]: (12, 12, 8)})
    return read, values


@pytest.mark.usefixtures("everything", "in_order")
def test_steps_that_meet_in_memory_keep_their_order():
    program, values = overlapping()
    layout = Session(program, threads=2)._packed.layout
    a, c = (layout.places[values[name]] for name in "ac")
    assert a < c + layout.buffers[values["c"]].size
    assert c < a + layout.buffers[values["a"]].size
    assert not any({values["b"], values["c"]} <= set(one) for one in together(program))
    assert_any_order_is_right(program, 2)


@pytest.mark.usefixtures("everything", "in_order")
def test_without_the_look_at_memory_they_would_give_other_bytes(monkeypatch):
    """So the tests above would fail if steps were held apart by the graph alone."""
    program, _ = overlapping()
    names = {step.name: step for step in program.steps}
    seen = watched(monkeypatch)

    def by_graph(_):
        tasks, rows, *_ = seen[0]
        owners = [rows.owners[phase[0][0]] for phase in independent._by_owner(tasks, rows)]
        writers = [{names[owner].output} if owner in names else {owner} for owner in owners]
        readers = [set(names[owner].inputs) if owner in names else {owner} for owner in owners]
        return [
            sum(1 << i for i in range(j) if writers[i] & (readers[j] | writers[j]) or readers[i] & writers[j])
            for j in range(len(owners))
        ]

    monkeypatch.setattr(independent, "dependences", by_graph)
    with pytest.raises(AssertionError):
        assert_any_order_is_right(program, 2)


@pytest.mark.usefixtures("everything")
@pytest.mark.skipif(isa.SELECTED.lanes == 0, reason="the plain kernels do not split a row")
@pytest.mark.parametrize("threads", THREADS)
def test_large_outputs_and_inputs_in_the_users_arrays_keep_their_order(threads):
    """Outputs are written to the user's arrays at once, which may be where the input is."""
    maker = Maker(None, "float32", np.random.default_rng(0))
    x = maker.buffer((1, 40, 256))
    ends = [convolution(maker, convolution(maker, x, 256), 256) for _ in range(3)]
    program = maker.program((x,), tuple(ends))
    x = inputs_for(program, 1)
    expected = Session(program).run(x)
    session = Session(program, threads=threads)
    table = session._packed.real
    names = [executor.by_code()[code].name for code in table.words[:, 0].tolist()]
    assert "read_in_place" in names
    assert names.count("point_words") == 3
    writes = {step.output for step in program.steps} & set(ends)
    first = [writes & owners for owners in phases_by_owner(table)]
    assert first[:3] != [set()] * 3  # rows that point others to arrays come first
    for _ in range(20):
        given_to = x.copy()
        out = {name: np.empty_like(expected[name]) for name in program.outputs}
        out[ends[1]] = given_to
        found = session.run(given_to, out)
        assert all(found[name].tobytes() == expected[name].tobytes() for name in program.outputs)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_adapted_networks_are_folded_anew_and_observed_as_on_one_thread(dtype):
    @settings(max_examples=20, deadline=None)
    @given(branching(dtype), st.integers(0, 100))
    def check(program, seed):
        program = with_adaptation(program, seed)
        if program is None:
            return
        x, rng = inputs_for(program, 1), np.random.default_rng(seed)
        channels = sum(layer.channels for layer in program.adaptation.layers)
        drift, ratio = rng.normal(0, 0.1, channels).astype(np.float32), rng.uniform(0.9, 1.1, channels).astype(np.float32)
        found = []
        with np.errstate(all="ignore"):
            for threads in (1, 3):
                session = Session(program, threads=threads)
                session.refold(drift, ratio)
                result, seen = session.run(x), session.observe({program.inputs[0]: x})
                results = result.values() if isinstance(result, dict) else [result]
                found.append([array.tobytes() for array in (*results, *seen.outputs.values(), seen.first, seen.second)])
        assert found[0] == found[1]

    check()


def test_tables_that_let_every_buffer_leave_stay_in_order():
    program, _ = made(["a from x:16", "b from x:16"], outputs=2)
    session = Session(program, threads=2)
    alone = Session(program)
    x = inputs_for(program, 2)
    found, expected = session.run_buffers(x), alone.run_buffers(x)
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)
    table = session._packed.real_with_buffers
    starts = table.tasks[1][:, 0].tolist()
    assert starts == sorted(starts)
