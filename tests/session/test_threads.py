"""Several threads share an inference: the same bytes for every number of them, and nobody waits for ever."""

import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.models.mobilenet import mobilenet
from edgebn import program as p
from edgebn.errors import ModelError
from edgebn.kernels import atomics, executor
from edgebn.kernels.jit import decorator
from edgebn.kernels.records import JOIN, SHARING_ENDED, SHARING_LINGER
from edgebn.kernels.registry import OPERATIONS
from edgebn.kernels.work_sharing import LINGER, LONG_LINGER
from edgebn.session import Session, bands, choosing, pace, parts, pooling, shares, winograd
from edgebn.session import convolution as session_convolution
from edgebn.session.options import Options
from tests.adaptations import with_adaptation
from tests.kernels.test_winograd import convolution
from tests.programs import KINDS, Maker, inputs_for, pooled_shape, programs, single
from tests.test_contract import GEOMETRIES, assert_equals_reference, convolution_program

THREADS = (2, 3, 4)


def tasks_of(session):
    table = session._packed.real
    return 0 if table.tasks is None else len(table.tasks[1])


def assert_same_bytes(program, threads=(2, 3, 8), samples=3):
    """Return how many tasks the sessions with several threads had."""
    x = inputs_for(program, samples)
    alone = Session(program)
    expected = alone.run(x)
    assert tasks_of(alone) == 0
    count = 0
    for number in threads:
        session = Session(program, threads=number)
        found = session.run(x)
        for name in program.outputs:
            a, b = (value[name] if isinstance(value, dict) else value for value in (found, expected))
            assert a.tobytes() == b.tobytes(), (number, name)
        count += tasks_of(session)
    return count


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("dtype", ["float32", "int8", "int16", "mixed"])
def test_random_programs_give_the_same_bytes(dtype):
    counts = []

    @given(programs(dtype) if dtype == "mixed" else st.one_of(programs(dtype), single("convolution", dtype)), st.none())
    def check(program, _):
        counts.append(assert_same_bytes(program))

    check()
    assert any(counts), "nothing was shared"


# Operations that these programs do not reach on every instruction set, or that nothing but large shapes splits.
ELSEWHERE = {
    "dense_f32",  # below
    "convolution_f32",  # of sets without tiles
    "convolution_i8",
    "convolution_wide_i8",
    "winograd_input_f32",  # bands, and below
    "winograd_output_f32",
    "winograd_input_i8",
    "winograd_output_i8",
    "tile_i16",
    "transpose_f32",  # squares of 16 x 16
    "copy_rows",  # crossings: in the table, not the packer
    "flip_rows",
    "quantize_rows",
    "dequantize_rows",
    "fill_bytes",  # of int8 alone
    "fill_halo",  # below
    "quantize_rows_i16",  # of mixed programs
    "dequantize_rows_i16",
    "rescale_i8_i16",
    "rescale_i16_i8",
}


def shared_operations(session):
    """Return the names of the operations that stand in several shares of one phase."""
    rows = [row for row in session._packed._packer.rows if row.share is not None and row.band is None]
    return {row.operation for row in rows}


def assert_threads_give_the_same_bytes(program, x, kernels):
    """Hold several numbers of threads against one, each of which splits at least one of those kernels."""
    alone = Session(program).run(x).tobytes()
    for threads in (2, 3, 8):
        session = Session(program, threads=threads)
        assert session.run(x).tobytes() == alone
        assert kernels & shared_operations(session)


def pool_program(window, dtype, channels=40, *, rescaled=False, size=(9, 12)):
    maker = Maker(None, dtype, np.random.default_rng(0))
    x = maker.buffer((*size, channels))
    like = maker.buffers[x]
    shape = pooled_shape(window, like.shape)
    maker.buffers["y"] = replace(like, name="y", shape=shape)
    epilogue = maker.average_epilogue("y", window.kernel[0] * window.kernel[1], by_count=False) if rescaled else None
    maker.steps.append(p.Pool("pool", (x,), "y", window, epilogue))
    return maker.program((x,), ("y",))


def scaling_program(channels=40):
    """A product by channel, of rows that are wider than any vector: so are few that hypothesis draws."""
    maker = Maker(None, "int8", np.random.default_rng(0))
    x, y = (maker.buffer((9, 12, channels)) for _ in range(2))
    factors = maker.constant((1, 1, channels))
    arithmetic = p.IntMultiply(1 << 27, (1 << 35) + (1 << 30), 36, False, maker.buffers[y].zero_point, -128, 120)
    maker.steps.append(p.Multiply("scale", (x, factors), y, arithmetic=arithmetic))
    return maker.program((x,), (y,))


@pytest.mark.usefixtures("eager")
def test_the_pool_of_a_convolution_of_one_row_has_scratch_for_every_share():
    """One row goes by no bands: its pool is split into shares, each of which sums in scratch of its own."""
    bare = convolution_program((4, 160, 1, (3, 3), (1, 1), (1, 1), (0, 1, 0, 1), 3, 8), "int8", 0)
    (step,) = bare.steps
    window = p.Window("average", (1, 3), (1, 2), (1, 1), (0, 1, 0, 1))
    pooled = replace(bare.buffers[step.output], shape=pooled_shape(window, bare.buffers[step.output].shape))
    shapes = {**bare.shapes, step.output: pooled.shape}
    program = replace(bare, steps=(replace(step, pool=window),), buffers={**bare.buffers, step.output: pooled}, shapes=shapes)
    assert assert_same_bytes(program)
    rows = Session(program, threads=2)._packed._packer.rows
    used = len({row.arguments["scratch"] for row in rows if row.operation == "average_i8"})
    assert used > 1
    assert session_convolution.scratch(program.steps[0], program, Options(threads=2))["sums"] >= used * 4 * 160


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("dtype", ["float32", "int8", "int16"])
def test_every_kind_of_step_is_shared_and_gives_the_same_bytes(dtype):
    found = set()

    def check_kind(kind):
        @settings(max_examples=60, derandomize=True, deadline=None, database=None)
        @given(single(kind, dtype))
        def check(program):
            assert_same_bytes(program, (3,), 1)
            found.update(shared_operations(Session(program, threads=3)))

        check()

    for kind in KINDS[dtype]:
        check_kind(kind)
    for seed, shape in enumerate(GEOMETRIES):  # above, their bytes
        found |= shared_operations(Session(convolution_program(shape, dtype, seed), threads=3))
    many_groups = convolution_program((80, 80, 40, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 7, 9), dtype, 0)
    assert_same_bytes(many_groups, samples=1)
    found |= shared_operations(Session(many_groups, threads=3))
    if dtype == "int8":
        (step,) = many_groups.steps
        weight = step.weight.astype(np.int16)
        wide = replace(many_groups, steps=(replace(step, weight=np.where(weight > 100, weight + 100, weight)),))
        for program in (wide, scaling_program()):
            assert_same_bytes(program, samples=1)
            found |= shared_operations(Session(program, threads=3))
    for window in (p.Window("max", (2, 2), (2, 2)), p.Window("average", (3, 3), (1, 1))):
        for channels in (40, 3):
            pooled = pool_program(window, dtype, channels)
            assert_same_bytes(pooled, samples=1)
            found |= shared_operations(Session(pooled, threads=3))
    for channels, rescaled in ((200, dtype != "float32"), (320, False), (320, dtype == "int8")):  # by channels, and by blocks
        whole = pool_program(p.Window("average", (9, 12), (1, 1)), dtype, channels, rescaled=rescaled)
        assert_same_bytes(whole, samples=1)
        found |= shared_operations(Session(whole, threads=3))
    known = {kernel.__name__ for group in ("shared", dtype) for kernel in OPERATIONS[group]}
    known |= {"float32": {"arg_extreme_f32", "compare_f32"}, "int8": {"arg_extreme_i8"}}.get(dtype, set())
    assert {name for name in shares.KINDS if name in known} - ELSEWHERE - found == set()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("dtype", "rescaled"), [("float32", False), ("int8", False), ("int8", True)])
@pytest.mark.parametrize("shape", [(8, 8, 640), (7, 9, 530), (16, 17, 130), (40, 40, 33)])
def test_averages_of_a_map_are_summed_by_blocks_of_pixels(dtype, rescaled, shape):
    """Lengths with whole blocks, with a shorter last one, and channels that no vector divides."""
    program = pool_program(p.Window("average", shape[:2], (1, 1)), dtype, shape[2], rescaled=rescaled, size=shape[:2])
    x = inputs_for(program, 2, 5)
    if dtype == "float32":
        x[1, 3, 4, 5] = np.inf
    if dtype == "int8" or "sum_blocks_f32" in executor.operations():
        assert_threads_give_the_same_bytes(program, x, {"sum_blocks_f32", "sum_blocks_i8"})
    assert_equals_reference(program, x[:1], threads=3)


@pytest.mark.usefixtures("eager")
def test_a_map_with_a_halo_is_averaged_by_channels_with_scratch_for_every_share():
    bare = pool_program(p.Window("average", (9, 12), (1, 1)), "int8", 1024)
    maker = Maker(None, "int8", np.random.default_rng(0))
    maker.buffers, maker.steps = dict(bare.buffers), list(bare.steps)
    (x,), z = bare.inputs, maker.buffer((9, 12, 1024))
    weight = maker.weight((1024, 3, 3, 1))
    epilogue = maker.epilogue(1024, 9, z, ((-np.inf, np.inf), (0.0, np.inf), (-128, 127), False))
    maker.finish_step(p.Convolution("padded", (x,), z, weight, epilogue, padding=(1, 1, 1, 1), groups=1024))
    program = maker.program((x,), ("y", z))
    rows = Session(program, threads=8)._packed._packer.rows
    used = len({row.arguments["scratch"] for row in rows if row.operation == "average_i8"})
    assert used > 8  # more than blocks
    assert pooling.scratch(program.steps[0], program, Options(threads=8))["sums"] >= used * 4 * 1024
    assert_same_bytes(program)


@pytest.mark.usefixtures("eager")
def test_shared_operations_are_operations():
    assert set(shares.KINDS) - set(executor.operations()) <= {
        name for name in shares.KINDS if name.rpartition("_")[0] in {"tile", "depthwise_tile", "winograd_input", "winograd_output"}
    } | {
        "dense_f32",
        "dense_i8",
        "add_tile_i8",
        "maximum_tile_f32",
        "maximum_tile_i8",
        "average_tile_f32",
        "sum_blocks_f32",
        "average_blocks_f32",
        "transpose_f32",
        "matmul_tile_f32",
        "matmul_tile_i8",
    }


@pytest.mark.usefixtures("eager")
def test_a_dense_layer_behind_a_relu_is_shared_by_blocks():
    rng = np.random.default_rng(3)
    buffers = {"x": p.Buffer("x", (1, 1, 96)), "h": p.Buffer("h", (1, 1, 96)), "y": p.Buffer("y", (1, 1, 200))}
    weight = rng.standard_normal((200, 1, 1, 96)).astype(np.float32)
    clip = p.Elementwise("relu", ("x",), "h", "clip", low=0.0)
    plain = p.FloatEpilogue(np.zeros(200, np.float32), np.ones(200, np.float32), np.zeros(200, np.float32))
    steps = clip, p.Convolution("fc", ("h",), "y", weight, plain)
    shapes = {"x": (1, 1, 96), "y": (1, 1, 200)}
    program = p.Program("dense", "dense", "test", False, buffers, {}, steps, ("x",), ("y",), shapes)
    assert_same_bytes(program)
    if "dense_f32" in executor.operations():
        assert "dense_f32" in shared_operations(Session(program, threads=3))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_winograds_planes_are_shared_where_the_weights_are_far(dtype, monkeypatch):
    monkeypatch.setattr(winograd, "NEAR_BYTES", 0)
    weight = np.random.default_rng(0).standard_normal((32, 3, 3, 16)).astype(np.float32)
    way = {"float32": ("winograd_input_f32", "tile_f32"), "int8": ("winograd_input_i8", "tile_i16")}[dtype]
    for height in range(4, 14):
        shape = (32, 40, 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), height, 9)
        program = convolution(weight, height, 9) if dtype == "float32" else convolution_program(shape, dtype, height)
        assert_same_bytes(program, samples=1)
        if winograd.suits(program.steps[0], program):
            found = shared_operations(Session(program, threads=3))
            assert way[0] in found or height < 6
            assert way[1] in found


@pytest.mark.usefixtures("eager")
def test_a_network_with_halos_and_crossings_gives_the_same_bytes():
    program = mobilenet(size=40)
    assert_same_bytes(program)
    found = Session(program, threads=3)
    assert "fill_halo" in shared_operations(found)
    owners = found._packed.real.owners
    assert owners.count(program.inputs[0]) > 2


@pytest.mark.parametrize("threads", [2, 3, 4, 8, 16, 64])
def test_fractions_end_where_the_work_ends_and_shrink(threads):
    for shared in range(1, parts.most_shares(threads) + 1):
        ends = parts.fractions(shared, threads)
        assert len(ends) == shared
        assert ends == sorted(ends)
        assert ends[-1] == pytest.approx(1)
    assert parts.most_shares(threads) <= parts.MAX_SHARES


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("shares", [True, False])
def test_sessions_of_several_threads_take_the_fast_call(shares, monkeypatch):
    """A call of arrays as the kernels read them is checked in machine code, and takes none of Python's checks."""
    monkeypatch.setattr(pace.Pace, "shares", shares)
    program = large()
    x = inputs_for(program, 1)
    expected = Session(program).run(x)
    session = Session(program, threads=2)
    monkeypatch.setattr("edgebn.session.arrays.accept", None)
    for _ in range(3):
        assert session.run(x).tobytes() == expected.tobytes()
    out = np.empty_like(expected)
    assert session.run(x, out) is out
    assert out.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("eager")
def test_workers_look_on_for_longer_where_calls_follow_closely():
    program = large()
    x = inputs_for(program, 1)
    session = Session(program, threads=2)
    session.run(x)
    words = session._packed.real.sharing
    for _ in range(200):  # some two calls are not held up
        session.run(x)
        if words[SHARING_LINGER] == LONG_LINGER:
            break
    assert words[SHARING_LINGER] == LONG_LINGER
    words[SHARING_ENDED] -= 2 * LONG_LINGER
    ended = words[SHARING_ENDED]
    session.run(x)
    assert words[SHARING_LINGER] == LINGER
    assert words[SHARING_ENDED] > ended


def test_the_clock_of_the_kernels_is_the_system_s():
    clock = atomics.nanoseconds
    called = decorator()(lambda: clock(0))  # kernels are called by compiled code alone
    called()
    before = time.monotonic_ns()
    read = called()
    assert before <= read <= time.monotonic_ns()


@pytest.mark.usefixtures("eager")
def test_busy_processes_change_no_byte():
    program = large()
    x = inputs_for(program, 4)
    expected = Session(program).run(x).tobytes()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        for number in (2, 4):
            session = Session(program, threads=number)
            assert all(session.run(x).tobytes() == expected for _ in range(30))
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_convolutions_of_many_shapes_give_the_same_bytes(dtype):
    counts = [assert_same_bytes(convolution_program(shape, dtype, seed), (3,), 1) for seed, shape in enumerate(GEOMETRIES)]
    assert sum(count > 1 for count in counts) > len(counts) // 2


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("window", [None, p.Window("max", (2, 2), (2, 2)), p.Window("average", (3, 3), (1, 1))])
def test_winograds_bands_of_codes_give_the_same_bytes(window):
    counts = []
    for height in range(4, 14):
        program = convolution_program((32, 40, 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), height, 9), "int8", height)
        (step,) = program.steps
        if window is not None:
            pooled = replace(program.buffers[step.output], shape=pooled_shape(window, program.buffers[step.output].shape))
            buffers, shapes = {**program.buffers, step.output: pooled}, {**program.shapes, step.output: pooled.shape}
            program = replace(program, steps=(replace(step, pool=window),), buffers=buffers, shapes=shapes)
        counts.append(assert_same_bytes(program, samples=1))
    assert sum(count > 0 for count in counts) > len(counts) // 3


@pytest.mark.usefixtures("eager")
def test_winograds_tiles_begin_where_they_would_without_bands():
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((32, 3, 3, 16)).astype(np.float32)
    windows = [None, p.Window("max", (2, 2), (2, 2)), p.Window("max", (3, 3), (2, 2)), p.Window("average", (3, 3), (1, 1))]
    counts = [assert_same_bytes(convolution(weight, height, 9, window), samples=1) for height in range(4, 14) for window in windows]
    assert sum(count > 0 for count in counts) > len(counts) // 3


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_adaptable_programs_gather_the_same_sums(dtype):
    @given(programs(dtype), st.integers(0, 100))
    def check(program, seed):
        program = with_adaptation(program, seed)
        if program is None:
            return
        x = {program.inputs[0]: inputs_for(program, 1, seed)}
        with np.errstate(all="ignore"):
            alone, shared = (Session(program, threads=number).observe(x) for number in (1, 3))
        assert alone.first.tobytes() == shared.first.tobytes()
        assert alone.second.tobytes() == shared.second.tobytes()
        for name in program.outputs:
            assert alone.outputs[name].tobytes() == shared.outputs[name].tobytes()

    check()


def large(rows=32):
    rng = np.random.default_rng(1)
    return convolution(rng.standard_normal((64, 3, 3, 32)).astype(np.float32), rows, rows)


@pytest.mark.usefixtures("eager")
def test_many_shared_inferences_at_once_all_end():
    """More threads than processors, each session with workers of its own: waiting must let the others work."""
    program = large()
    x = inputs_for(program, 4)
    expected = Session(program).run(x)
    wrong = []

    def work(session):
        wrong.extend(session for _ in range(20) if session.run(x).tobytes() != expected.tobytes())

    sessions = [Session(program, threads=number) for number in (2, 3, 4, 8)]
    callers = [threading.Thread(target=work, args=(session,)) for session in sessions * 2]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


@pytest.mark.usefixtures("eager")
def test_nobody_waits_for_workers_that_do_not_come(monkeypatch):
    program = large()
    x = inputs_for(program, 3)
    session = Session(program, threads=4)
    monkeypatch.setattr(session._workers, "wake", lambda _: None)
    assert session.run(x).tobytes() == Session(program).run(x).tobytes()


@pytest.mark.usefixtures("eager")
def test_a_worker_that_comes_late_leaves_at_once():
    program = large()
    session = Session(program, threads=2)
    session.run(inputs_for(program, 1))
    assert session._execute(session._packed.real.call, JOIN, 1) == 0


@pytest.mark.usefixtures("eager")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_works_without_workers():
    program = large()
    x = inputs_for(program, 2)
    session = Session(program, threads=3)
    expected = session.run(x).tobytes()
    child = os.fork()
    if child == 0:
        os._exit(int(session.run(x).tobytes() != expected))
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.usefixtures("eager")
def test_workers_end_with_their_session():
    def workers():
        return [thread for thread in threading.enumerate() if thread.name == "edgebn worker"]

    gc.collect()
    program = large()
    before = set(workers())
    session = Session(program, threads=3)
    session.run(inputs_for(program, 1))
    mine = set(workers()) - before
    assert len(mine) == 2
    del session
    gc.collect()
    for thread in mine:
        thread.join()


@pytest.mark.usefixtures("eager")
def test_a_refused_input_leaves_the_session_usable():
    program = large()
    session = Session(program, threads=3)
    x = inputs_for(program, 2)
    with pytest.raises(ModelError, match="NaN"):
        session.run(x * np.nan)
    assert session.run(x).tobytes() == Session(program).run(x).tobytes()
    assert session.run(x[:0]).shape == (0, *program.shapes["y"])


def test_small_networks_stay_on_one_thread():
    small = large(8)
    session = Session(small, threads=4)
    session.run(inputs_for(small, 1))
    assert tasks_of(session) == 0
    assert "_workers" not in vars(session)


def test_auto_measures_and_takes_what_is_clearly_faster(monkeypatch):
    assert choosing.candidates(1) == [1]
    assert choosing.candidates(6) == [1, 2, 4, 6]
    assert choosing.best({1: 1.0, 2: 0.6, 4: 0.58}) == 2
    assert choosing.best({1: 1.0, 2: 0.95, 4: 0.5}) == 4
    assert choosing.best({1: 1.0, 2: 1.4}) == 1
    monkeypatch.setattr(choosing, "usable_cores", lambda: 4)
    program = large(64)
    asked = []
    monkeypatch.setattr(choosing, "best", lambda seconds: asked.append(sorted(seconds)) or 2)
    session = Session(program, threads="auto")
    assert asked == [[1, 2, 4]]
    assert session.threads == 2
    assert pickle.loads(pickle.dumps(session)).threads == 2
    x = inputs_for(program, 1)
    assert session.run(x).tobytes() == Session(program).run(x).tobytes()
    assert Session(large(8), threads="auto").threads == 1  # too small: nothing is measured
    assert len(asked) == 1


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", None])
def test_threads_must_be_a_positive_number(threads):
    with pytest.raises(ModelError, match="threads"):
        Session(large(8), threads=threads)


@pytest.mark.usefixtures("eager")
def test_bands_cover_the_rows_in_whole_units():
    program = large(31)
    step = program.steps[0]
    for threads in THREADS:
        for unit in (1, 2):
            found = bands.bands(step, program, threads, unit)
            assert len(found) == parts.most_shares(threads)
            assert [first for first, _ in found] == [0, *np.cumsum([count for _, count in found])[:-1]]
            assert sum(count for _, count in found) == 31
            assert all(first % unit == 0 and count >= unit for first, count in found)
    assert bands.bands(step, program, 4, 0) == [(0, 31)]


def test_phases_follow_on_each_other():
    shares = [None, None, (0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), None, (2, 0, 0), (2, 0, 1)]
    phases, tasks = bands.tasks(shares)
    assert tasks.tolist() == [[0, 2], [2, 4], [4, 5], [5, 6], [6, 7], [7, 8], [8, 9], [9, 10], [10, 11], [11, 12]]
    assert phases.tolist() == [[0, 1], [1, 2], [3, 2], [5, 2], [7, 1], [8, 2]]
    assert bands.tasks([None, None]) is None
