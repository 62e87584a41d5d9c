"""The one contract that every engine passes: on random programs, every buffer equals the reference's.

int8 byte for byte; float32 within 1e-5 of the buffer's range. Where codes are made of float32 numbers that agree so, a code may
differ: each step of a mixed program is compared with what the reference makes of the values that the engine itself gave to the
step.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import program as p
from edgebn import reference
from edgebn.session import Session
from tests.programs import CONVERSIONS, EPILOGUE_CHOICES, KINDS, Maker, inputs_for, programs, single

FLOAT_TOLERANCE = 1e-5  # of the larger of 1 and the buffer's largest magnitude


def assert_equals_reference(program, x, threads=1):
    found = Session(program, threads).run_buffers(x)
    for n, sample in enumerate(x):
        values = {name: value[n] for name, value in found.items()}
        expected = expected_values(program, sample, values)
        for name, value in values.items():
            assert value.dtype == expected[name].dtype
            if value.dtype != np.float32:
                np.testing.assert_array_equal(value, expected[name], err_msg=name)
            else:
                bound = FLOAT_TOLERANCE * max(1.0, float(np.abs(expected[name]).max()))
                np.testing.assert_allclose(value, expected[name], rtol=0, atol=bound, err_msg=name)
    assert set(found) == set(program.buffers) - set(program.constants)


def expected_values(program, sample, values):
    """Return what the reference makes of a sample; of a mixed program what each step makes of an engine's `values`."""
    if program.dtype != "mixed":
        return reference.run_steps(program, {program.inputs[0]: sample})
    values = {**program.constants, **values}
    expected = {program.inputs[0]: sample}
    for step in program.steps:
        expected[step.output] = reference.run_step(program, step, values)
    return expected


@pytest.mark.parametrize(("dtype", "kind"), [(dtype, kind) for dtype in KINDS for kind in (*KINDS[dtype], CONVERSIONS[dtype])])
def test_every_kind_of_step_equals_the_reference(dtype, kind):
    @given(single(kind, dtype), st.integers(0, 1000))
    def check(program, seed):
        assert_equals_reference(program, inputs_for(program, 2, seed))

    check()


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16", "mixed"])
def test_whole_programs_equal_the_reference(dtype):
    @given(programs(dtype), st.integers(0, 1000))
    def check(program, seed):
        assert_equals_reference(program, inputs_for(program, 2, seed))

    check()


# (channels in, channels out, groups, kernel, strides, dilations, padding, height, width): what drawing at random may miss.
GEOMETRIES = [
    *[
        (channels, channels, channels, (3, 3), strides, (1, 1), (1, 1, 1, 1), 7, width)
        for channels in (1, 3, 8, 16, 24, 32, 33, 64, 72, 130)
        for strides, width in (((1, 1), 9), ((2, 2), 8), ((1, 1), 1))
    ],
    *[
        (channels, channels, channels, kernel, strides, (1, 2), (0, 1, 2, 1), 9, 11)
        for channels in (4, 20, 64, 100)
        for kernel, strides in (((3, 3), (2, 1)), ((5, 5), (1, 1)), ((2, 4), (3, 3)), ((1, 3), (1, 1)))
    ],
    *[  # Depthwise layers of 5 x 5, along the rows and down them; a dilation that the stride makes no gap of
        (channels, channels, channels, (5, 5), strides, dilations, (2, 2, 2, 2), 9, width)
        for channels in (4, 16, 24, 64, 72, 100, 130)
        for strides, dilations in (((1, 1), (1, 1)), ((2, 2), (1, 1)), ((1, 2), (1, 1)), ((2, 2), (2, 2)))
        for width in (9, 14)
    ],
    # Depthwise layers of few channels, whose pixels share vectors: neighbours, and gathered ones.
    *[
        (channels, channels, channels, kernel, strides, (1, 1), (1, 1, 1, 1), 6, width)
        for channels in (4, 8, 12, 16, 24, 32, 40, 48, 96)
        for kernel, strides, width in (((3, 3), (1, 1), 21), ((3, 3), (2, 2), 19), ((5, 5), (1, 2), 14))
    ],
    *[
        (8, channels, 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 5, width)
        for channels in (1, 2, 5, 8, 10, 16, 17, 32, 40, 48, 64, 80, 130)
        for width in (1, 2, 3, 5, 7, 13, 14, 17, 33)
    ],
    *[  # Winograd's, with sides that are no multiple of its tile and chunks of more than one row of tiles
        (inputs, channels, 1, (3, 3), (1, 1), (1, 1), padding, height, width)
        for inputs, channels in ((16, 16), (17, 20), (33, 64), (64, 130))
        for padding, height, width in (((1, 1, 1, 1), 2, 2), ((1, 1, 1, 1), 7, 33), ((0, 1, 2, 0), 12, 5), ((0, 0, 0, 0), 9, 16))
    ],
    *[
        (channels, 24, 1, (1, 1), strides, (1, 1), (0, 0, 0, 0), 6, 7)
        for channels in (1, 3, 4, 16, 65)
        for strides in ((1, 1), (2, 3))
    ],
    *[(3, 16, 1, (10, 4), (2, 2), (1, 1), (4, 1, 5, 1), 49, 10), (1, 64, 1, (10, 4), (2, 2), (1, 1), (4, 1, 5, 1), 49, 10)],
    *[(12, 36, groups, (2, 3), (1, 1), (2, 1), (1, 1, 1, 1), 6, 9) for groups in (1, 2, 3, 4, 6)],
    *[  # Narrow groups, several of which share a vector, with fewer left at the end
        (inputs, channels, groups, (3, 3), strides, (1, 1), (1, 1, 1, 1), 6, 9)
        for inputs, channels, groups in ((40, 40, 20), (20, 20, 5), (57, 57, 19), (68, 34, 17), (80, 160, 10), (144, 144, 6))
        for strides in ((1, 1), (2, 2))
    ],
    *[(36, 72, 36, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 6, 9), (20, 20, 20, (3, 3), (5, 5), (1, 1), (0, 0, 0, 0), 13, 13)],
    *[(640, 128, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1, 1), (128, 8, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1, 1)],
]


def convolution_program(geometry, dtype, seed):
    """Return a program of one convolution with one of `GEOMETRIES`."""
    channels, outputs, groups, kernel, strides, dilations, padding, height, width = geometry
    rng = np.random.default_rng(seed)
    maker = Maker(None, dtype, rng)
    x = maker.buffer((height, width, channels))
    weight = maker.weight((outputs, *kernel, channels // groups))
    bare = p.Convolution("conv", (x,), "", weight, None, strides, dilations, padding, groups)
    y = maker.buffer(p.unpooled_shape(bare, (height, width, channels)))
    style = [choices[rng.integers(len(choices))] for choices in EPILOGUE_CHOICES]
    epilogue = maker.epilogue(outputs, weight[0].size, y, style)
    maker.steps.append(p.Convolution("conv", (x,), y, weight, epilogue, strides, dilations, padding, groups))
    return maker.program((x,), (y,))


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16"])
def test_convolutions_of_many_shapes_equal_the_reference(dtype):
    for seed, geometry in enumerate(GEOMETRIES):
        program = convolution_program(geometry, dtype, seed)
        assert_equals_reference(program, inputs_for(program, 1, seed))


@pytest.mark.parametrize(
    ("groups", "kernel", "operation"),
    [
        (8, (22, 23), "depthwise_i16"),  # 506 products: 32 bits hold them
        (8, (23, 23), "convolution_wide_i16"),
        (1, (4, 4), "convolution_axpy_i16"),  # few products an output, 128 of them
        (1, (4, 5), "convolution_wide_i16"),
    ],
)
def test_the_least_int16_codes_by_the_least_weights_are_exact(groups, kernel, operation):
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[0] // 2, kernel[1] // 2)
    program = convolution_program((8, 8, groups, kernel, (1, 1), (1, 1), padding, 6, 5), "int16", 0)
    program = replace(program, steps=(replace(program.steps[0], weight=np.full_like(program.steps[0].weight, -128)),))
    assert {row.operation for row in Session(program)._packed._packer.rows} >= {operation}
    assert_equals_reference(program, np.full_like(inputs_for(program, 1, 0), -32768))


def test_the_least_weight_is_exact_beside_the_least_code():
    """-128 times -128, twice and more: what the 16-bit sums of some instruction sets could not hold."""
    for seed, geometry in enumerate(((16, 20, 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 5, 9), (16, 16, 16, *GEOMETRIES[0][3:]))):
        program = convolution_program(geometry, "int8", seed)
        step = program.steps[0]
        weight = np.full_like(step.weight, -128)
        program = replace(program, steps=(replace(step, weight=weight),))
        assert_equals_reference(program, np.full_like(inputs_for(program, 1, seed), -128))


@pytest.mark.parametrize("width", [3, 5])
@pytest.mark.parametrize("channels", [24, 160])
def test_depthwise_weights_beyond_int8_are_exact(width, channels):
    """As uint8 files have them, in one column or in any: what int8 cannot hold of them stands in a dot product's spare places."""
    for wide in (*range(width), slice(None)):
        for strides in ((1, 1), (2, 2)):
            geometry = (channels, channels, channels, (width, width), strides, (1, 1), (width // 2,) * 4, 7, 11)
            program = convolution_program(geometry, "int8", channels + width)
            step = program.steps[0]
            weight = step.weight.astype(np.int16)
            weight[:, :, wide] *= 2
            weight[1, :, wide] = -255
            program = replace(program, steps=(replace(step, weight=weight),))
            assert_equals_reference(program, inputs_for(program, 2, width))


def conversions(low, high, zero_point=3):
    """Return a program that quantises what it is given, for scales in which ties are exact, and dequantises it again."""
    buffers = {
        "x": p.Buffer("x", (5, 7, 3)),
        "q": p.Buffer("q", (5, 7, 3), "int8", 0.25, zero_point),
        "y": p.Buffer("y", (5, 7, 3)),
    }
    steps = (p.Quantize("quantize", ("x",), "q"), p.Dequantize("dequantize", ("q",), "y"))
    shapes = {"x": (5, 7, 3), "y": (5, 7, 3)}
    x = np.arange(low, high, (high - low) / 105)[:105].reshape(1, 5, 7, 3).astype(np.float32)
    return p.Program("c", "c.test", "test", False, buffers, {}, steps, ("x",), ("y",), shapes), x


@pytest.mark.parametrize("rescaled", [False, True])
def test_int8_averages_of_any_number_of_channels_equal_the_reference(rescaled):
    """Vectors of every width that channels end with, each met once: what a compiler may take for never."""
    for channels in (7, 8, 15, 24, 31, 40, 56, 100, 120):
        for size in (1, 2):
            maker = Maker(None, "int8", np.random.default_rng(channels))
            x = maker.buffer((size, size, channels))
            y = maker.buffer((1, 1, channels)) if rescaled else maker.buffer((1, 1, channels), like=x)
            epilogue = maker.average_epilogue(y, size * size, by_count=False) if rescaled else None
            maker.steps.append(p.Pool("average", (x,), y, p.Window("average", (size, size), (1, 1)), epilogue))
            program = maker.program((x,), (y,))
            assert_equals_reference(program, inputs_for(program, 2, size))


@pytest.mark.parametrize(("low", "high"), [(-105 / 16, 105 / 16), (-60, 60), (-1e38, 1e38)])
def test_conversions_round_ties_to_even_and_clip(low, high):
    program, x = conversions(low, high)
    assert_equals_reference(program, x)
    found = Session(program).run(x)
    with np.errstate(over="ignore"):
        codes = np.clip(np.rint(x / np.float32(0.25)) + 3, -128, 127)
    np.testing.assert_array_equal(found, (codes - 3) * np.float32(0.25))


def test_what_is_no_number_becomes_the_lowest_code():
    """Inside a program nobody can refuse it: the average of two infinities makes one."""
    program, x = conversions(-1, 1)
    pool = p.Pool("average", ("x",), "z", p.Window("average", (1, 2), (1, 1), padding=(0, 0, 0, 1)))
    steps = (pool, replace(program.steps[0], inputs=("z",)), program.steps[1])
    program = replace(program, steps=steps, buffers={**program.buffers, "z": p.Buffer("z", (5, 7, 3))})
    x[:] = 0
    x[0, 2, 3], x[0, 2, 4] = np.inf, -np.inf
    expected = np.zeros_like(x)
    expected[0, 2, 2] = (127 - 3) * 0.25
    expected[0, 2, 3:5] = (-128 - 3) * 0.25  # of both, and of -inf
    np.testing.assert_array_equal(Session(program).run(x), expected)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(reference.run(program, x), expected)
