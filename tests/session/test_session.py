"""What a user meets: shapes and types in and out, errors, batches, threads, and that running allocates nothing."""

import os
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from edgebn import program as p
from edgebn import reference
from edgebn.errors import ModelError
from edgebn.kernels import isa
from edgebn.session import Session, ndarray_struct
from edgebn.session import session as session_module
from tests.programs import inputs_for, programs
from tests.test_contract import convolution_program

ROOT = Path(__file__).resolve().parents[2]


def network(dtype="float32"):
    """conv 3x3 + pool -> conv 3x3 -> dense, from (9, 8, 3) to 5 numbers."""
    rng = np.random.default_rng(3)
    int8 = dtype == "int8"
    shapes = {"x": (9, 8, 3), "a": (4, 4, 8), "b": (4, 4, 6), "flat": (1, 1, 96), "y": (1, 1, 5)}
    buffers = {name: p.Buffer(name, shape, dtype, 0.04 if int8 else 1.0, -3 if int8 else 0) for name, shape in shapes.items()}

    def epilogue(channels):
        if not int8:
            return p.FloatEpilogue(*(rng.standard_normal(channels).astype(np.float32) for _ in range(3)), post=(0.0, np.inf))
        whole = np.full(channels, 2**31 - 1, np.int32)
        m = rng.integers(100, 900, channels).astype(np.int32)
        bias = rng.integers(-900, 900, channels).astype(np.int32)
        half, shift = np.full(channels, 1 << 19, np.int64), np.full(channels, 20, np.uint8)
        return p.IntEpilogue(bias, -whole, whole, m, half, shift, False, -3, -128, 127)

    def weight(*shape):
        return rng.integers(-99, 99, shape).astype(np.int8) if int8 else rng.standard_normal(shape).astype(np.float32)

    same, pool = (1, 1, 1, 1), p.Window("max", (2, 2), (2, 2))
    steps = (
        p.Convolution("conv", ("x",), "a", weight(8, 3, 3, 3), epilogue(8), padding=same, pool=pool),
        p.Convolution("conv2", ("a",), "b", weight(6, 3, 3, 8), epilogue(6), padding=same),
        p.Reshape("flatten", ("b",), "flat"),
        p.Convolution("dense", ("flat",), "y", weight(5, 1, 1, 96), epilogue(5)),
    )
    return p.Program("net", "net.test", "test", False, buffers, {}, steps, ("x",), ("y",), {"x": (9, 8, 3), "y": (5,)})


@pytest.fixture(scope="module", params=["float32", "int8"])
def session(request):
    return Session(network(request.param))


def reals(samples, seed=1):
    return np.random.default_rng(seed).standard_normal((samples, 9, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("batch", [0, 1, 2, 7])
def test_batches_of_any_size(session, batch):
    x = reals(batch)
    y = session.run(x)
    assert y.shape == (batch, 5)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, reference.run(session.program, x), rtol=1e-5, atol=1e-4)


def test_int8_codes_in_give_codes_out():
    program = network("int8")
    x = np.random.default_rng(2).integers(-128, 128, (4, 9, 8, 3)).astype(np.int8)
    y = Session(program).run(x)
    assert y.dtype == np.int8
    np.testing.assert_array_equal(y, reference.run(program, x))


def test_real_values_round_half_to_even_and_saturate():
    program = network("int8")
    scale = np.float32(0.04)
    x = np.zeros((1, 9, 8, 3), np.float32)
    x.ravel()[:8] = [0.5 * scale, 1.5 * scale, -0.5 * scale, 1e30, -1e30, np.inf, -np.inf, 3.3 * scale]
    codes = Session(program).run_buffers(x)["x"]
    np.testing.assert_array_equal(codes.ravel()[:8], [-3, -1, -3, 127, -128, 127, -128, 0])
    np.testing.assert_array_equal(codes[0], reference.quantize_real(x[0], program.buffers["x"]))


@pytest.mark.parametrize("convert", [np.float64, np.float16, np.asfortranarray, lambda x: np.repeat(x, 2, axis=2)[:, :, ::2]])
def test_other_types_and_layouts_give_the_same(session, convert):
    x = reals(3).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(session.run(convert(x)), session.run(x))


def test_uint8_images_are_real_values(session):
    x = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(session.run(x), session.run(x.astype(np.float32)))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((9, 8, 3), np.float32), r"expected \(N, 9, 8, 3\).*x\[None\]"),
        (np.zeros((1, 8, 9, 3), np.float32), r"\(1, 8, 9, 3\).*expected \(N, 9, 8, 3\)"),
        (np.zeros((1, 9, 8, 3), complex), "complex"),
        (np.zeros((1, 9, 8, 3), object), "object"),
        ([[1.0], [1.0, 2.0]], "not an array"),
        (np.full((2, 9, 8, 3), np.nan, np.float32), "NaN"),
        ({"z": np.zeros((1, 9, 8, 3), np.float32)}, "network's are"),
        (None, "object"),
    ],
)
def test_bad_input_is_named(session, x, words):
    with pytest.raises(ModelError, match=words):
        session.run(x)


def test_one_nan_in_a_batch_is_refused(session):
    x = reals(5)
    x[4, 8, 7, 2] = np.nan
    with pytest.raises(ModelError, match="input 'x' holds NaN"):
        session.run(x)


def test_float_model_refuses_codes_with_a_hint():
    with pytest.raises(ModelError, match="quantise the model"):
        Session(network()).run(np.zeros((1, 9, 8, 3), np.int8))


def test_out_receives_the_result(session):
    x, out = reals(3), np.empty((3, 5), np.float32)
    assert session.run(x, out) is out
    np.testing.assert_array_equal(out, session.run(x))


@pytest.mark.parametrize("out", [np.empty((2, 5), np.float32), np.empty((3, 5)), np.empty((5, 3), np.float32).T, 7, {"z": None}])
def test_unfit_out_is_refused(session, out):
    with pytest.raises(ModelError, match="out"):
        session.run(reals(3), out)


def test_results_are_the_callers(session):
    first = session.run(reals(2, seed=1))
    kept = first.copy()
    session.run(reals(2, seed=2))
    np.testing.assert_array_equal(first, kept)


def two_ended():
    names = ("a", "b", "sum", "product")
    buffers = {name: p.Buffer(name, (1, 2, 3)) for name in names}
    steps = (p.Add("add", ("a", "b"), "sum"), p.Multiply("mul", ("a", "b"), "product"))
    shapes = dict.fromkeys(names, (2, 3))
    return p.Program("two", "two.test", "test", False, buffers, {}, steps, ("a", "b"), ("sum", "product"), shapes)


def test_several_inputs_and_outputs_are_dicts():
    session = Session(two_ended())
    a, b = np.ones((2, 2, 3), np.float32), np.full((2, 2, 3), 5, np.float32)
    y = session.run({"b": b, "a": a})
    np.testing.assert_array_equal(y["sum"], a + b)
    np.testing.assert_array_equal(y["product"], a * b)
    with pytest.raises(ModelError, match="pass a dict"):
        session.run(a)
    with pytest.raises(ModelError, match="different sizes"):
        session.run({"a": a, "b": b[:1]})


def test_an_output_may_be_an_input_or_a_constant():
    shapes = {"x": (1, 2, 3), "c": (1, 2, 3)}
    buffers = {name: p.Buffer(name, shape, "int8", 0.5, 4) for name, shape in shapes.items()}
    constants = {"c": np.arange(6, dtype=np.int8).reshape(1, 2, 3)}
    program = p.Program("pass", "pass.test", "test", False, buffers, constants, (), ("x",), ("x", "c"), shapes)
    x = np.arange(-6, 0, dtype=np.int8).reshape(1, 1, 2, 3)
    y = Session(program).run(x)
    np.testing.assert_array_equal(y["x"], x)
    np.testing.assert_array_equal(y["c"], constants["c"][None])


@pytest.mark.parametrize("is_after_head", [True, False])
def test_arrays_are_found_wherever_their_data_begins(is_after_head, monkeypatch):
    session = Session(two_ended())
    x = np.arange(60, dtype=np.float32).reshape(5, 2, 2, 3)
    expected = [session.run({"a": x[i], "b": x[i + 1]}) for i in range(4)]
    monkeypatch.setattr(ndarray_struct, "IS_AFTER_HEAD", is_after_head)
    frozen = x[1]
    frozen.flags.writeable = False
    for i, y in enumerate(expected):
        out = np.full((3, 2, 2, 3), np.nan, np.float32)
        session.run({"a": x[i].copy() if i == 2 else x[i], "b": frozen if i == 0 else x[i + 1]}, {"sum": out[1], "product": out[2]})
        np.testing.assert_array_equal(out[1], y["sum"])
        np.testing.assert_array_equal(out[2], y["product"])
        assert np.isnan(out[0]).all()
    with pytest.raises(ModelError, match="'b' holds NaN"):
        session.run({"a": x[0], "b": np.where(x[1] == x[1, -1, -1, -1], np.nan, x[1]).astype(np.float32)})


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="another Python keeps arrays elsewhere")
def test_cpython_keeps_the_words_of_arrays_where_kernels_look_for_them():
    assert ndarray_struct.is_after_head()
    assert ndarray_struct.are_known()


@pytest.mark.parametrize("convert", [np.asarray, lambda x: x.astype(np.float64)])
def test_an_inference_is_one_foreign_call(convert, monkeypatch):
    calls = []
    session = Session(network("int8"))
    monkeypatch.setattr(session, "_execute", lambda call, batch, given: calls.append(batch) or 0)
    session.run(convert(reals(3)))
    assert calls == [3]


@pytest.mark.parametrize("kind", ["int8", "int16", "uint8"])
def test_codes_of_every_type_take_the_fast_call(kind, monkeypatch):
    """And give what the general way gives."""
    if kind == "int16":
        program = convolution_program((3, 12, 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 5, 6), kind, 0)
    else:
        program = network("int8")
        ends = {name: replace(buffer, unsigned=True) for name, buffer in program.buffers.items() if name in ("x", "y")}
        program = replace(program, buffers=program.buffers | (ends if kind == "uint8" else {}))
    shape, ends = program.shapes[program.inputs[0]], np.iinfo(kind)
    x = np.random.default_rng(0).integers(ends.min, ends.max + 1, (2, *shape)).astype(kind)
    session = Session(program)
    expected = session.run(x)  # two samples go the general way
    assert expected.dtype == kind
    monkeypatch.setattr(session_module.arrays, "accept", None)
    for sample, wanted in zip(x, expected, strict=True):
        found = session.run(sample[None])
        assert found.dtype == kind
        np.testing.assert_array_equal(found[0], wanted)


def test_running_allocates_nothing(session):
    x, out = reals(4), np.empty((4, 5), np.float32)
    arena = session._packed.arena.ctypes.data
    session.run(x, out)
    tracemalloc.start()
    try:
        for _ in range(50):  # the interpreter keeps a few small objects of its own
            session.run(x, out)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(200):
            session.run(x, out)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 512, "200 runs must not add to what 50 left alive"
    assert session._packed.arena.ctypes.data == arena


def test_the_pooled_convolution_is_never_whole_in_memory():
    session = Session(network())
    unpooled = 9 * 8 * 8 * 4
    assert session.plan.size < unpooled + 9 * 8 * 3 * 4


def test_sessions_run_at_once_and_one_session_takes_turns(session):
    x = reals(50)
    expected = session.run(x)
    own = [Session(session.program) for _ in range(2)]
    wrong = []

    def work(used):
        wrong.extend(used for _ in range(20) if not np.array_equal(used.run(x), expected))

    threads = [threading.Thread(target=work, args=(used,)) for used in (*own, session, session)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@given(programs("int8"))
def test_run_equals_the_reference_on_whole_batches(program):
    x = inputs_for(program, 3)
    found, expected = Session(program).run(x), reference.run(program, x)
    for name in program.outputs:
        one, other = (found, expected) if len(program.outputs) == 1 else (found[name], expected[name])
        np.testing.assert_array_equal(one, other)


def run_python(code, **environment):
    paths = {"PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **paths}, capture_output=True, text=True, check=False
    )


def test_importing_edgebn_does_not_import_numba():
    done = run_python("import edgebn, edgebn.session, sys; sys.exit('numba' in sys.modules or 'llvmlite' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_an_unknown_instruction_set_is_refused():
    code = "import tests.session.test_session as t; t.Session(t.network())"
    done = run_python("import tests.conftest, edgebn.errors\n" + code, EDGEBN_ISA="mmx")
    assert "EDGEBN_ISA=mmx is not an instruction set of this CPU" in done.stderr


def test_the_choice_of_instruction_set():
    everything = isa.available("x86_64", frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "fma", "avx2"}))
    assert isa.choose(None, everything) is everything[0]
    assert isa.choose("plain", everything).name == "plain"
    assert [found.name for found in isa.available("riscv64", frozenset())] == ["plain"]
    with pytest.raises(isa.IsaError):
        isa.choose("avx2", isa.available("x86_64", frozenset({"sse4.2"})))


def test_a_program_shows_itself_in_one_line():
    """All fields would be pages of weights."""
    program = network("int8")
    shown = repr(program)
    assert len(shown) < 250
    assert all(part in shown for part in (program.name, program.source, "int8", f"{len(program.steps)} steps", program.inputs[0]))
