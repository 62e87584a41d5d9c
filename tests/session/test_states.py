"""States that live from run to run: sequences against TensorFlow Lite Micro and LiteRT, and each session's state its own."""

import copy
import os
import pickle
import threading

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.errors import EdgebnError, ModelError, QuantizationError
from edgebn.formats.tflite import read
from edgebn.passes import lower
from edgebn.program_check import check_program
from edgebn.session import Session, bands
from tests import programs

FLOAT_TOLERANCE = 1e-5


def sequence(program, steps, seed=0):
    return programs.inputs_for(program, steps, seed)


def assert_follows_reference(program, x, session):
    """Hold every buffer of a sequence, in two batches and single samples, against the reference."""
    states = reference.initial_states(program)
    parts = (x[:2], x[2:3], x[3:])
    got = [session.run_buffers(part) for part in parts]
    found = {name: np.concatenate([values[name] for values in got]) for name in got[0]}
    for n, sample in enumerate(x):
        expected = reference.run_steps(program, {program.inputs[0]: sample}, states=states)
        for name, value in found.items():
            if value.dtype == np.int8:
                np.testing.assert_array_equal(value[n], expected[name], err_msg=f"{name} of sample {n}")
            else:
                bound = FLOAT_TOLERANCE * max(1.0, float(np.abs(expected[name]).max()))
                np.testing.assert_allclose(value[n], expected[name], rtol=0, atol=bound, err_msg=f"{name} of sample {n}")
    assert set(found) == set(program.buffers) - set(program.constants)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("threads", [1, 2])
def test_random_programs_with_states_equal_the_reference(dtype, threads):
    @given(programs.stateful(dtype), st.integers(0, 1000))
    def check(program, seed):
        check_program(program)
        assert_follows_reference(program, sequence(program, 6, seed), Session(program, threads))

    check()


@pytest.fixture(scope="module")
def small():
    """A program whose outputs are other numbers on a second run of the same sample."""
    window = p.State("rows", "after", np.arange(8, dtype=np.int8).reshape(2, 4, 1))
    shapes = {"x": (1, 4, 1), "rows": (2, 4, 1), "window": (3, 4, 1), "after": (2, 4, 1)}
    buffers = {name: p.Buffer(name, shape, "int8", 0.1, 0) for name, shape in shapes.items()}
    steps = (p.Concat("concat", ("rows", "x"), "window", 0, (None, None)), p.Crop("crop", ("window",), "after", (1, 0, 0)))
    program = p.Program(
        "small", "small.test", "test", False, buffers, {}, steps, ("x",), ("window",),
        {name: shapes[name] for name in ("x", "window")}, states=(window,),
    )  # fmt: skip
    check_program(program)
    return program


def test_a_batch_is_a_sequence_and_reset_begins_a_new_one(small):
    session = Session(small)
    x = sequence(small, 5)
    rows = np.concatenate([small.states[0].initial, x[:, 0]])
    expected = np.stack([rows[i : i + 3] for i in range(5)])
    np.testing.assert_array_equal(session.run(x), expected)
    assert not np.array_equal(session.run(x), expected)
    session.reset_state()
    np.testing.assert_array_equal(np.concatenate([session.run(one[None]) for one in x]), expected)
    session.reset_state()
    np.testing.assert_array_equal(reference.run(small, x), expected)


def test_an_input_that_is_refused_leaves_the_state(small):
    session = Session(small)
    x = sequence(small, 3)
    session.run(x)
    with pytest.raises(ModelError, match="NaN"):
        session.run(np.full((1, 1, 4, 1), np.nan, np.float32))
    other = Session(small)
    other.run(x)
    np.testing.assert_array_equal(session.run(x), other.run(x))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_goes_on_from_the_state_and_is_apart(small, how):
    session = Session(small)
    x = sequence(small, 4)
    session.run(x)
    other = how(session)
    expected = session.run(x)
    np.testing.assert_array_equal(other.run(x), expected)
    other.reset_state()
    np.testing.assert_array_equal(session.run(x), expected)


def test_threads_use_one_session_one_after_the_other(small):
    """Each batch is a whole sequence step: what rows the last of them leaves is what some batch ends with."""
    session, batches = Session(small), [sequence(small, 50, seed) for seed in range(8)]
    workers = [threading.Thread(target=session.run, args=(batch,)) for batch in batches]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    left = session.run(batches[0][:1])[0, :2]
    assert any(np.array_equal(left, batch[-2:, 0]) for batch in batches)


def large():
    """A convolution that threads share, over the sum of an input and what the last run made."""
    rng = np.random.default_rng(0)
    shape = (32, 32, 32)
    buffers = {name: p.Buffer(name, shape, "int8", 0.1, 0) for name in ("x", "last", "sum", "y")}
    maker = programs.Maker(None, "int8", rng, dict(buffers))
    weight = rng.integers(-127, 128, (32, 3, 3, 32)).astype(np.int8)
    epilogue = maker.epilogue(32, weight[0].size, "y", tuple(choices[0] for choices in programs.EPILOGUE_CHOICES))
    steps = (
        p.Add("add", ("x", "last"), "sum", arithmetic=p.IntAdd("single", (1, 1), (), 0, 1, 0, -128, 127)),
        p.Convolution("conv", ("sum",), "y", weight, epilogue, padding=(1, 1, 1, 1)),
    )
    outer = dict.fromkeys(("x", "y"), shape)
    states = (p.State("last", "y", rng.integers(-128, 128, shape).astype(np.int8)),)
    program = p.Program("large", "large.test", "test", False, buffers, {}, steps, ("x",), ("y",), outer, states=states)
    check_program(program)
    return program


def test_threads_that_share_a_network_with_states_give_the_same_bytes(monkeypatch):
    monkeypatch.setattr(bands, "MIN_PROGRAM_MACS", {"float32": 1, "int8": 1})
    program = large()
    x = sequence(program, 20)
    shared = Session(program, threads=3)
    assert shared._packed.codes.tasks is not None
    wanted = Session(program).run(x)
    np.testing.assert_array_equal(shared.run(x), wanted)
    np.testing.assert_array_equal(reference.run(program, x[:2]), wanted[:2])
    assert not np.array_equal(shared.run(x), wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_between_runs_has_a_state_of_its_own_and_one_forked_inside_is_told():
    program = large()
    x = sequence(program, 4)
    session = Session(program)
    session.run(x)
    expected = copy.copy(session).run(x)

    def child():
        try:
            return 0 if np.array_equal(session.run(x), expected) else 1
        except EdgebnError as error:
            return 2 if "states" in str(error) else 3

    assert in_child(child) == 0
    session._packed._lock_word[0] = 1  # as inside a run
    told = in_child(child)
    session._packed._lock_word[0] = 0
    assert told == 2
    np.testing.assert_array_equal(session.run(x), expected)


def in_child(work):
    pid = os.fork()
    if pid == 0:
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_states_are_kept_in_files(small, tmp_path):
    path = tmp_path / "small.edgebn"
    edgebn.save(small, path)
    again = edgebn.load(path)
    np.testing.assert_array_equal(again.states[0].initial, small.states[0].initial)
    x = sequence(small, 5)
    np.testing.assert_array_equal(Session(again).run(x), Session(small).run(x))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (p.State("rows", "window", np.zeros((2, 4, 1), np.int8)), "does not fit its buffers"),
        (p.State("rows", "after", np.zeros((2, 4, 2), np.int8)), "does not fit its buffers"),
        (p.State("x", "x", np.zeros((1, 4, 1), np.int8)), "is an input"),
        (p.State("rows", "rows", np.zeros((2, 4, 1), np.int8)), "as it was"),
        (p.State("rows", "nothing", np.zeros((2, 4, 1), np.int8)), "does not fit"),
    ],
)
def test_unfit_states_are_refused(small, state, message):
    from dataclasses import replace

    with pytest.raises(ModelError, match=message):
        check_program(replace(small, states=(state,)))


def test_what_is_not_done_with_states_says_so(small):
    from dataclasses import replace

    buffers = {name: replace(buffer, dtype="float32") for name, buffer in small.buffers.items()}
    state = replace(small.states[0], initial=small.states[0].initial.astype(np.float32))
    steps = tuple(replace(step, tables=()) if isinstance(step, p.Concat) else step for step in small.steps)
    with pytest.raises(QuantizationError, match="states that live from run to run"):
        edgebn.quantize(replace(small, buffers=buffers, states=(state,), steps=steps))


@given(programs.stateful("float32"), st.integers(0, 1000))
def test_quantised_sequences_stay_near(program, seed):
    """Each state is read under the scale that a run leaves it with, and rows that are only kept are the float ones."""
    assume(not any(isinstance(step, p.Normalization) for step in program.steps))  # these have no int8 form
    x = sequence(program, 12, seed)
    int8 = edgebn.quantize(program, x)
    check_program(int8)
    for state in int8.states:
        ends = int8.buffers[state.reads], int8.buffers[state.writes]
        assert (ends[0].scale, ends[0].zero_point) == (ends[1].scale, ends[1].zero_point)
    wanted, got = Session(program).run_buffers(x), Session(int8).run_buffers(x)
    for state in int8.states:
        buffer = int8.buffers[state.reads]
        real = reference.dequantize(got[state.reads], buffer)
        if state.reads == "v1":  # the rows of the last inputs, which nothing computed
            low, high = reference.dequantize(np.array([-128, 127], np.int8), buffer)
            assert np.abs(real - np.clip(wanted[state.reads], low, high)).max() <= 1.01 * buffer.scale


def test_states_that_change_places_have_no_codes_to_share():
    shapes = {"x": (1, 1, 2), "a": (1, 1, 2), "b": (1, 1, 2), "to a": (1, 1, 2), "to b": (1, 1, 2), "y": (1, 1, 2)}
    buffers = {name: p.Buffer(name, shape) for name, shape in shapes.items()}
    steps = (p.Reshape("one", ("b",), "to a"), p.Reshape("two", ("a",), "to b"), p.Add("sum", ("a", "x"), "y"))
    first = np.array([1, 50], np.float32).reshape(1, 1, 2)
    states = (p.State("a", "to a", first), p.State("b", "to b", -3 * first))
    outer = {name: shapes[name] for name in ("x", "y")}
    program = p.Program("s", "s.test", "test", False, buffers, {}, steps, ("x",), ("y",), outer, states=states)
    x = np.ones((4, 1, 1, 2), np.float32)
    assert Session(program).run(x)[:, 0, 0].tolist() == [[2, 51], [-2, -149], [2, 51], [-2, -149]]
    with pytest.raises(QuantizationError, match="in a circle"):
        edgebn.quantize(program, x[:1])


def micro_runs(content, x):
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    interpreter = runtime.Interpreter.from_bytes(content)
    outputs = []
    for sample in x:
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    return np.concatenate(outputs)


@pytest.mark.parametrize("seed", range(5))
def test_variables_over_sequences(seed, tmp_path):
    pytest.importorskip("ai_edge_litert")
    from tests.formats.tflite import tflite_operators

    path = tmp_path / "model.tflite"
    content, _, rng = tflite_operators.build(tflite_operators.variable, seed, integer=True)
    path.write_bytes(content)
    program = lower(read(path))
    assert len(program.states) == 1
    x = rng.integers(-128, 128, (200, *program.shapes[program.inputs[0]])).astype(np.int8)
    np.testing.assert_array_equal(Session(program).run(x), micro_runs(content, x))


@pytest.mark.parametrize("seed", range(3))
def test_float_variables_over_sequences(seed, tmp_path):
    pytest.importorskip("ai_edge_litert")
    from ai_edge_litert.interpreter import Interpreter

    from tests.formats.tflite import tflite_operators

    path = tmp_path / "model.tflite"
    content, _, rng = tflite_operators.build(tflite_operators.variable, seed, integer=False)
    path.write_bytes(content)
    program = lower(read(path))
    x = rng.normal(0, 1, (20, *program.shapes[program.inputs[0]])).astype(np.float32)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    wanted = []
    for sample in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        wanted.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    np.testing.assert_allclose(Session(program).run(x), np.concatenate(wanted), rtol=0, atol=1e-5)


def with_output(content, index):
    """Return a TensorFlow Lite file whose one output is another value of it."""
    from ai_edge_litert import schema_py_generated as schema

    content = bytearray(content)
    table = schema.Model.GetRootAs(content, 0).Subgraphs(0)._tab
    at = table.Vector(table.Offset(8))
    content[at : at + 4] = index.to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(("name", "value"), [("okay_nabu", None), ("okay_nabu", 87), ("okay_nabu", 91), ("vad", None), ("vad", 49)])
def test_wake_words_over_sequences(name, value, shared_zoo, tmp_path):
    """The network's own output, and a value before it that says more: of 200 steps each."""
    content = (shared_zoo / f"mww_v2_{name}.tflite").read_bytes()
    content = content if value is None else with_output(content, value)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    program = edgebn.load(path)
    rng = np.random.default_rng(1)
    x = np.clip(np.cumsum(rng.normal(0, 30, (200, 3, 40)), axis=0), -128, 127).astype(np.int8)
    x[::3] = rng.integers(-128, 128, x[::3].shape)
    wanted = micro_runs(content, x)
    codes = wanted if wanted.dtype == np.int8 else (wanted.astype(np.int16) - 128).astype(np.int8)
    assert len(np.unique(wanted)) > 1
    np.testing.assert_array_equal(Session(program).run(x), codes.reshape(200, *program.shapes[program.outputs[0]]))
