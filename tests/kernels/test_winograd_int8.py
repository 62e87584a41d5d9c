"""Winograd's convolution of codes: the bytes of the specification wherever it may be used, and the direct way beyond its bound.

That it stays inside its buffers is in test_guard_pages, that threads share it without a change in test_threads.
"""

import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgebn import program as p
from edgebn.adapt.engines import ReferenceEngine, SessionEngine
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.kernels import executor, tile
from edgebn.quick_dataclass import replace
from edgebn.session import Session, winograd
from tests.adapt.test_observe import assert_gathers_as_the_reference
from tests.adaptations import with_adaptation
from tests.kernels import machine_code
from tests.kernels.test_tile import MULTIPLICATION, X86_SETS
from tests.kernels.test_winograd import operations
from tests.programs import inputs_for, pooled_shape
from tests.test_contract import assert_equals_reference, convolution_program

WAY = {"winograd_input_i8", "tile_i16", "winograd_output_i8"}
has_kernels = pytest.mark.skipif(not executor.operations().keys() >= WAY, reason="this instruction set has no such kernels")
PADDED = (1, 1, 1, 1)


@pytest.fixture
def everywhere(monkeypatch):
    """Use it wherever it can be, whether it pays or not."""
    monkeypatch.setitem(winograd.NUMBERS, "int8", replace(winograd.NUMBERS["int8"], worth=np.inf))


def layer(inputs, outputs, height, width, padding=PADDED, seed=0):
    return convolution_program((inputs, outputs, 1, (3, 3), (1, 1), (1, 1), padding, height, width), "int8", seed)


def with_weight(program, weight):
    return replace(program, steps=(replace(program.steps[0], weight=weight),))


def with_pool(program, window):
    (step,) = program.steps
    unpooled = program.buffers[step.output]
    pooled = replace(unpooled, shape=pooled_shape(window, unpooled.shape))
    shapes = {**program.shapes, step.output: pooled.shape}
    return replace(program, steps=(replace(step, pool=window),), buffers={**program.buffers, step.output: pooled}, shapes=shapes)


def goes_this_way(program, threads=1):
    return operations(Session(program, threads)) >= WAY


@has_kernels
@pytest.mark.usefixtures("everywhere")
def test_every_shape_has_the_bytes_of_the_specification():
    counts = []

    @given(
        st.sampled_from([8, 9, 16, 17, 31, 33, 64]),
        st.sampled_from([8, 9, 16, 20, 24, 40, 65]),
        st.integers(1, 9),
        st.integers(1, 21),
        st.tuples(*[st.integers(0, 2)] * 4),
        st.sampled_from([None, None, p.Window("max", (2, 2), (2, 2)), p.Window("average", (3, 3), (1, 2))]),
        st.sampled_from([1, 2]),
        st.integers(0, 1000),
    )
    def check(inputs, outputs, height, width, padding, pool, threads, seed):
        assume(height + padding[0] + padding[2] >= 4)
        assume(width + padding[1] + padding[3] >= 4)
        program = layer(inputs, outputs, height, width, padding, seed)
        if pool is not None:
            assume(all(side >= k for side, k in zip(program.buffers[program.outputs[0]].shape[:2], pool.kernel, strict=True)))
            program = with_pool(program, pool)
        counts.append(goes_this_way(program, threads))
        assert_equals_reference(program, inputs_for(program, 2, seed), threads)

    check()
    assert all(counts)


@has_kernels
@pytest.mark.parametrize("zero_point", [-128, 127])
@pytest.mark.parametrize("code", [-128, 127])
def test_the_ends_of_codes_and_weights(zero_point, code):
    """Weights of one sign, of signs by row, column and in turn, and single ones: each makes some plane's numbers the largest."""
    program = layer(48, 40, 6, 7)
    (step,) = program.steps
    x = program.buffers[step.inputs[0]]
    program = replace(program, buffers={**program.buffers, x.name: replace(x, zero_point=zero_point)})
    rows, columns = np.indices((3, 3))
    signs = np.stack([np.ones((3, 3)), (-1) ** rows, (-1) ** columns, (-1) ** (rows + columns), rows * columns == 0])
    weight = np.zeros((40, 3, 3, 48), np.int64)
    weight[...] = (128 * np.concatenate([signs, -signs]).repeat(4, axis=0))[..., None]
    program = with_weight(program, weight.clip(-128, 127).astype(np.int8))
    assert goes_this_way(program)
    rng = np.random.default_rng(0)
    ends = np.where(rng.random((1, *x.shape)) < 0.5, -128, 127)
    for value in (np.full((1, *x.shape), code), ends):
        assert_equals_reference(program, value.astype(np.int8))


@has_kernels
@pytest.mark.usefixtures("everywhere")
def test_layers_up_to_the_bound_go_this_way_and_those_beyond_it_the_direct_way():
    """4 x 255 x 9 x 128 x 1827 is below 2**31: four times the greatest sum of products that there can be, of stored codes."""
    most = ((1 << 31) - 1) // (4 * 255 * 9 * 128)
    for inputs, fits in ((most, True), (most + 1, False)):
        program = layer(inputs, 8, 2, 2)
        weight = np.full((8, 3, 3, inputs), -128, np.int8)
        weight[1::2] = 127
        program = with_weight(program, weight)
        assert winograd.are_sums_exact(program.steps[0].weight) == fits
        assert goes_this_way(program) == fits
        for code in (-128, 127):
            assert_equals_reference(program, np.full((1, 2, 2, inputs), code, np.int8))


@has_kernels
def test_weights_of_16_bits_go_this_way_while_their_transforms_fit():
    program = layer(24, 32, 6, 6)
    rng = np.random.default_rng(0)
    wide = rng.integers(-255, 256, (32, 3, 3, 24)).astype(np.int16)
    assert goes_this_way(with_weight(program, wide))
    assert_equals_reference(with_weight(program, wide), inputs_for(program, 1, 0))
    assert not winograd.are_sums_exact(np.full((1, 3, 3, 1), (1 << 15) // 9 + 1, np.int16))
    assert winograd.are_sums_exact(np.full((1, 3, 3, 1), (1 << 15) // 9, np.int16))


@has_kernels
def test_sums_are_those_of_onnxruntime():
    """Of ConvInteger, with both operands in uint8, whose products onnxruntime sums exactly on every processor."""
    ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    for seed, (inputs, outputs, height, width) in enumerate(((32, 40, 9, 12), (24, 33, 8, 8), (64, 64, 14, 14))):
        program = layer(inputs, outputs, height, width, seed=seed)
        assert goes_this_way(program)
        (step,) = program.steps
        epilogue, zero_point = step.epilogue, program.buffers[step.inputs[0]].zero_point
        names = ("x", "w", "x_zero", "w_zero")
        infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, None) for name in names]
        node = onnx.helper.make_node("ConvInteger", names, ["y"], pads=[1, 1, 1, 1])
        y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)
        model = onnx.helper.make_model(
            onnx.helper.make_graph([node], "sums", infos, [y]), opset_imports=[onnx.helper.make_opsetid("", 10)], ir_version=8
        )
        x = inputs_for(program, 1, seed)
        given_ = {
            "x": (x.transpose(0, 3, 1, 2).astype(np.int64) + 128).astype(np.uint8),
            "w": (step.weight.transpose(0, 3, 1, 2).astype(np.int64) + 128).astype(np.uint8),
            "x_zero": np.uint8(zero_point + 128),
            "w_zero": np.uint8(128),
        }
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (sums,) = session.run(None, {name: np.asarray(value) for name, value in given_.items()})
        of_zero = zero_point * step.weight.astype(np.int64).sum(axis=(1, 2, 3))
        u = (sums.transpose(0, 2, 3, 1).astype(np.int64) + of_zero + epilogue.acc_bias).clip(epilogue.lo, epilogue.hi)
        product = u * epilogue.m.astype(np.int64) + epilogue.r - np.where(epilogue.neg & (u < 0), 1 << 31, 0)
        codes = (product >> epilogue.s.astype(np.int64)) + epilogue.zero_point
        np.testing.assert_array_equal(Session(program).run(x), codes.clip(epilogue.qmin, epilogue.qmax))


@has_kernels
@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("channels", [(24, 16), (40, 33)])
@pytest.mark.parametrize("pool", [None, p.Window("max", (2, 2), (2, 2))])
def test_observed_layers_gather_and_refold_as_the_reference(channels, pool):
    for seed in range(4):
        program = layer(*channels, 8, 9, seed=seed)
        program = with_adaptation(program if pool is None else with_pool(program, pool), seed)
        session = Session(program)
        assert operations(session) >= WAY
        assert_gathers_as_the_reference(program, inputs_for(program, 1, seed), session)
        rng = np.random.default_rng(seed)
        count = SourceStatistics(program).channels
        drift, ratio = (rng.uniform(*ends, count).astype(np.float32) for ends in ((-1, 1), (0.3, 3)))
        engines = SessionEngine(session), ReferenceEngine(program)
        assert engines[0].fold(drift, ratio) == engines[1].fold(drift, ratio)
        sample = {program.inputs[0]: inputs_for(program, 1, seed + 1)}
        found, wanted = (engine.observe(sample) for engine in engines)
        for name in program.outputs:
            np.testing.assert_array_equal(found.outputs[name], wanted.outputs[name])


@has_kernels
def test_it_is_used_only_where_it_pays_and_is_wanted():
    usual = layer(32, 32, 16, 16)
    assert goes_this_way(usual)
    assert not operations(Session(usual, winograd=False)) & WAY
    x = inputs_for(usual, 1)
    assert Session(usual, winograd=False).run(x).tobytes() == Session(usual).run(x).tobytes()
    for program in (layer(3, 32, 16, 16), layer(8, 8, 16, 16), layer(32, 32, 1, 16)):
        assert not operations(Session(program)) & WAY


def test_a_layer_that_cannot_go_this_way_imports_nothing_for_it():
    """Strides, dilations, groups and other kernels are seen before the module is loaded."""
    shapes = [
        (32, 32, 1, (3, 3), (2, 2), (1, 1), PADDED, 8, 8),
        (32, 32, 1, (3, 3), (1, 1), (2, 2), (2, 2, 2, 2), 8, 8),
        (32, 32, 2, (3, 3), (1, 1), (1, 1), PADDED, 8, 8),
        (32, 32, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 8, 8),
        (3, 32, 1, (3, 3), (1, 1), (1, 1), PADDED, 8, 8),
    ]
    kept = {name: sys.modules.pop(name) for name in ("edgebn.session.winograd",)}
    try:
        for shape in shapes:
            Session(convolution_program(shape, "int8", 0))
        assert "edgebn.session.winograd" not in sys.modules
    finally:
        sys.modules.update(kept)


def test_weights_are_transformed_as_integers():
    rng = np.random.default_rng(0)
    weight = rng.integers(-128, 128, (3, 3, 3, 5)).astype(np.int8)
    real = winograd.transformed(weight.astype(np.float32))
    found = winograd.transformed(weight)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, 4 * real)


@pytest.mark.parametrize("shape", [(6, 2), (5, 2), (4, 2), (8, 1)])
@pytest.mark.parametrize("processor", ["x86-64", "skylake", "znver3"])
def test_accumulators_stay_in_registers(shape, processor):
    """A turn is four steps of products, their sums and loads, a prefetch and the loop's end: nothing in memory."""
    avx2 = X86_SETS["avx2"]
    tiles = tile.Tiles(avx2, tile.Int16Products(avx2), "i16")
    loops = machine_code.innermost_loops(machine_code.assembly(tiles, shape, avx2, machine_code.X86, processor))
    loop = max(loops, key=lambda body: len(MULTIPLICATION.findall(body)))
    lines = [line for line in loop.splitlines() if line.startswith("\t") and not line.lstrip().startswith((".", "#"))]
    mr, nv = shape
    assert "(%rsp)" not in loop
    assert len(MULTIPLICATION.findall(loop)) == avx2.unroll * mr * nv
    assert len(lines) <= avx2.unroll * (2 * mr * nv + mr + nv) + 5
