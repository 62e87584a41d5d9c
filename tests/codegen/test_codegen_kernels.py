"""Every kernel of codegen/c, as its emitter calls it, against the reference: byte for byte in int8, on random steps.

Host compilers with all warnings as errors, under address and undefined-behaviour sanitizers; steps that may work in place do so
too.
"""

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgebn
from codegen import pack
from edgebn import program as p
from tests import c_programs
from tests.conftest import TEST_ALL
from tests.programs import CHANNELS, CONVERSIONS, KINDS, SIDES, Maker, inputs_for, programs, single

SANITIZERS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
# What compiles in half the time: checks as calls and as traps, which find the same and say less, and code that is not optimised.
QUICK = {"gcc": ("--param=asan-instrumentation-with-call-threshold=0", "-fsanitize-undefined-trap-on-error"), "clang": ("-O0",)}
COMPILERS = ("gcc", "clang")
EXAMPLES = 200 if TEST_ALL else 10
# (kind, dtype) to the number of steps drawn, where one kind stands for many kernels.
MANY = {"convolution": 3}


def compiler(name):
    if shutil.which(name) is None:
        pytest.skip(f"the C compiler {name} is not installed")
    return [name]


def drawn(strategy, count):
    """Return `count` programs with one input sample each: the same in every run."""
    cases = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy, st.integers(0, 1000))
    def collect(program, seed):
        cases.append((program, inputs_for(program, 1, seed)[0]))

    collect()
    return cases[:count]


def checked(command):
    """Return the flags with which a compiler has a program look for what is undefined and for what is not its own memory."""
    return SANITIZERS if TEST_ALL else (*SANITIZERS, *QUICK[command[0]])


def assert_right(cases, folder, command, flags=None):
    code = c_programs.build_and_run(cases, folder, command, checked(command) if flags is None else flags)
    program = cases[code // 100][0]
    assert code == 0, f"step {code % 100} of {[step.kind for step in program.steps]} differs: {program.steps[code % 100 - 1]}"


@pytest.mark.parametrize(("dtype", "kind"), [(dtype, kind) for dtype in KINDS for kind in (*KINDS[dtype], CONVERSIONS[dtype])])
def test_every_kind_of_step_equals_the_reference(dtype, kind, tmp_path):
    # Compilers take turns in the quick run, so that both see kernels of every sort.
    kinds = [*KINDS["float32"], *KINDS["int8"], *KINDS["int16"], *KINDS["int32"], *CONVERSIONS.values()]
    names = COMPILERS if TEST_ALL else (COMPILERS[(kinds.index(kind) + (dtype in p.CODE_RANGES)) % 2],)
    cases = drawn(single(kind, dtype), EXAMPLES * MANY.get(kind, 1))
    for name in names:
        assert_right(cases, tmp_path, compiler(name))


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16"])
def test_programs_equal_the_reference(dtype, tmp_path):
    for name in COMPILERS if TEST_ALL else COMPILERS[:1]:
        assert_right(drawn(programs(dtype), EXAMPLES), tmp_path, compiler(name))


@st.composite
def residual_blocks(draw):
    """A convolution that keeps its shape, and the sum of its output with another value: which comes first is drawn."""
    maker = Maker(draw, "int8", np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    channels = draw(CHANNELS)
    x = maker.buffer((draw(SIDES), draw(SIDES), draw(CHANNELS)))
    kernel = draw(st.sampled_from([1, 3]))
    weight = maker.weight((channels, kernel, kernel, maker.shape(x)[2]))
    shape = (*maker.shape(x)[:2], channels)
    skip = maker.buffer(shape)
    maker.finish_step(
        p.Convolution("skip", (x,), skip, weight, maker.epilogue(channels, weight[0].size, skip), padding=(kernel // 2,) * 4)
    )
    y = maker.buffer(shape)
    maker.finish_step(
        p.Convolution("main", (x,), y, weight[::-1].copy(), maker.epilogue(channels, weight[0].size, y), padding=(kernel // 2,) * 4)
    )
    z = maker.buffer(shape)
    pair = (skip, y) if draw(st.booleans()) else (y, skip)
    maker.finish_step(p.Add("sum", pair, z, arithmetic=maker.int_add(z)))
    return maker.program((x,), (z,))


def test_sums_joined_to_convolutions_equal_the_reference(tmp_path):
    assert_right(drawn(residual_blocks(), EXAMPLES), tmp_path, compiler("clang"))


def test_optimised_code_warns_of_nothing(tmp_path):
    cases = [case for kind in ("convolution", "pool", "add") for case in drawn(single(kind, "int8"), 60 if TEST_ALL else 6)]
    for name in COMPILERS:
        for level in ("-O2", "-O3", "-Os"):
            assert_right(cases, tmp_path, compiler(name), (level,))


@pytest.mark.parametrize("model", ["kws_int8.tflite", "resnet8_int8.tflite", "ad01_int8.tflite"])
def test_benchmark_networks_equal_the_reference(model, shared_models, tmp_path):
    program = edgebn.load(shared_models / model)
    sample = np.random.default_rng(5).integers(-128, 128, program.buffers[program.inputs[0]].shape).astype(np.int8)
    assert_right([(program, sample)], tmp_path, compiler("gcc"))


def test_a_wrong_byte_is_found(tmp_path):
    """The harness itself: a program whose table differs by one must fail at its step."""
    ((program, sample),) = drawn(single("lookup", "int8"), 1)
    text = c_programs.file_text([(program, sample)])
    step = program.steps[0]
    name, comment = "p0_step0_table", f"({len(step.table)}, 256): channels or 1, input code + 128"
    right = c_programs.array_text(c_programs.CArray(name, "int8_t", step.table, comment))
    assert right in text
    wrong = c_programs.array_text(c_programs.CArray(name, "int8_t", step.table ^ 1, comment))
    assert c_programs.build_and_run_text(text.replace(right, wrong), tmp_path, compiler("gcc")) == 1


def epilogue(m, r, s, *, neg=False, lo=-(2**31), hi=2**31 - 1, bias=0, zero_point=3):
    def words(value, dtype):
        return np.array([value], dtype)

    i32 = [words(value, np.int32) for value in (bias, lo, hi, m)]
    return p.IntEpilogue(*i32, words(r, np.int64), words(s, np.uint8), neg, zero_point, -128, 127)


def test_small_shifts_are_lifted_to_the_high_word():
    packed = pack.pack_epilogue(epilogue(m=77, r=2**19, s=20), np.array([5000], object))
    assert not packed.wide
    bias, m, r_low, r_high, shift = (int(word) for word in packed.channels[0])
    assert (bias, m, shift) == (0, 77 << 12, 0)
    assert (r_high << 32) + r_low % 2**32 == (2**19 << 12) + (3 << 32)


def test_what_would_overflow_stays_wide():
    packed = pack.pack_epilogue(epilogue(m=2**30, r=2**62, s=20), np.array([5000], object))
    assert packed.wide
    assert packed.zero_point == 3
    assert [int(word) for word in packed.channels[0]] == [0, 2**30, 0, 2**30, 20]


def test_clips_that_no_accumulator_reaches_are_left_out():
    bound = np.array([5000], object)
    assert pack.pack_epilogue(epilogue(m=2**30, r=0, s=40, lo=-5000, hi=5000), bound).limits is None
    assert pack.pack_epilogue(epilogue(m=2**30, r=0, s=40, lo=0, hi=5000), bound).limits is not None


@pytest.mark.parametrize(
    ("first", "second", "taps", "fits"),
    [
        (-1, -127, 4, True),
        (-1, -128, 4, False),
        (0, -128, 4, True),
        (-128, 127, 516, True),
        (1, -127, 520, False),
        (-128, 1, 520, True),
    ],
)
def test_pairs_share_halves_where_these_hold_them(first, second, taps, fits):
    weight = np.full((2, 1, 1, taps), first, np.int8)
    weight[1] = second
    assert pack.can_share(pack.pack_pairs(weight)) is fits


def test_weights_are_packed_in_pairs_and_blocks():
    weight = np.arange(1, 16, dtype=np.int8).reshape(3, 1, 1, 5)
    packed = pack.pack_pairs(weight)
    assert packed.shape == (1, 2, 2, 2, 4)
    assert packed[0, 0].tolist() == [[[1, 2, 3, 4], [6, 7, 8, 9]], [[5, 0, 0, 0], [10, 0, 0, 0]]]
    assert packed[0, 1, :, 1].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
