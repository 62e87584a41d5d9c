"""What every engine gathers equals the reference: int8 sums exactly, float32 ones within rounding; and refolds take effect."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import reference
from edgebn.adapt.engines import ReferenceEngine, SessionEngine
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.session import Session, bands
from tests.adaptations import with_adaptation
from tests.conftest import TEST_ALL
from tests.programs import inputs_for, programs, single
from tests.test_contract import GEOMETRIES, convolution_program

LARGEST = 1e3  # of a float32 number in networks that are compared


def assert_gathers_as_the_reference(program, x, session=None):
    observed = (session or Session(program)).observe({program.inputs[0]: x})
    sums = {}
    with np.errstate(all="ignore"):
        values = reference.run_steps(program, {program.inputs[0]: x[0]}, sums)
    if program.dtype == "float32" and not all((np.abs(value) < LARGEST).all() for value in values.values()):
        return  # random networks may explode: sums of such numbers say nothing
    gathered = [sums[layer.observation.step] for layer in program.adaptation.layers]
    first, second = (np.concatenate([getattr(one, name) for one in gathered]) for name in ("first", "second"))
    if program.dtype == "int8":
        np.testing.assert_array_equal(observed.first, first)
        np.testing.assert_array_equal(observed.second, second)
        assert (observed.first.dtype, observed.second.dtype) == (np.int32, np.uint64)
        for name in program.outputs:
            np.testing.assert_array_equal(observed.outputs[name][0], values[name])
    else:
        largest = float(np.abs(second).max()) + 1
        np.testing.assert_allclose(observed.first, first, rtol=1e-4, atol=1e-4 * largest)
        np.testing.assert_allclose(observed.second, second, rtol=1e-4, atol=1e-4 * largest)


def check_float_refold(engines, sample):
    with np.errstate(all="ignore"):
        found, wanted = (engine.observe(sample) for engine in engines)
        for name, value in wanted.outputs.items():
            if (np.abs(value) < LARGEST).all() and (np.abs(wanted.second) < LARGEST).all():
                np.testing.assert_allclose(found.outputs[name], value, rtol=0, atol=1e-4 * max(1.0, float(np.abs(value).max())))


@pytest.mark.parametrize(("dtype", "kind"), [(d, k) for d in ("float32", "int8") for k in ("convolution", "transposed", "affine")])
def test_every_kind_of_step_gathers_as_the_reference(dtype, kind):
    @given(single(kind, dtype), st.integers(0, 1000))
    def check(program, seed):
        assert_gathers_as_the_reference(with_adaptation(program, seed), inputs_for(program, 1, seed))

    check()


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_whole_programs_gather_and_refold_as_the_reference(dtype):
    @given(programs(dtype), st.integers(0, 1000))
    def check(program, seed):
        program = with_adaptation(program, seed)
        if program is None:
            return
        rng = np.random.default_rng(seed)
        session = Session(program)
        assert_gathers_as_the_reference(program, inputs_for(program, 1, seed), session)
        channels = SourceStatistics(program).channels
        drift = rng.uniform(-1, 1, channels).astype(np.float32)
        ratio = rng.uniform(0.3, 3, channels).astype(np.float32)
        engines = SessionEngine(session), ReferenceEngine(program)
        assert engines[0].fold(drift, ratio) == engines[1].fold(drift, ratio)
        sample = {program.inputs[0]: inputs_for(program, 1, seed + 1)}
        if dtype == "float32":
            check_float_refold(engines, sample)
            return
        found, wanted = (engine.observe(sample) for engine in engines)
        for name in program.outputs:
            np.testing.assert_array_equal(found.outputs[name], wanted.outputs[name])
        np.testing.assert_array_equal(found.first, wanted.first)
        np.testing.assert_array_equal(found.second, wanted.second)
        ran = session.run(sample[program.inputs[0]])
        for name in program.outputs:
            np.testing.assert_array_equal(ran[name] if isinstance(ran, dict) else ran, found.outputs[name])
        source = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        engines[0].fold(*source)
        assert_gathers_as_the_reference(program, inputs_for(program, 1, seed), session)

    check()


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_convolutions_of_many_shapes_gather_as_the_reference(dtype):
    for seed, geometry in enumerate(GEOMETRIES):
        program = with_adaptation(convolution_program(geometry, dtype, seed), seed)
        assert_gathers_as_the_reference(program, inputs_for(program, 1, seed))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("channels", [3, 5, 6, 7])
def test_pixels_that_share_a_vector_leave_the_next_rows_alone(channels, dtype):
    """Vectors of several pixels that are not full, in rows that they do not divide, every row observed."""
    for width in (5, 7, 13, 14, 16):
        geometry = (8, channels, 1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 5, width)
        program = with_adaptation(convolution_program(geometry, dtype, width), width)
        (layer,) = program.adaptation.layers
        every = replace(layer, observation=replace(layer.observation, first_row=0, row_step=1))
        program = replace(program, adaptation=replace(program.adaptation, layers=(every,)))
        assert_gathers_as_the_reference(program, inputs_for(program, 1, width))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_bands_of_several_threads_gather_as_the_reference(dtype, monkeypatch):
    monkeypatch.setattr(bands, "MIN_MACS", {"float32": 1, "int8": 1})
    monkeypatch.setattr(bands, "MIN_PROGRAM_MACS", {"float32": 0, "int8": 0})
    for seed, geometry in enumerate(GEOMETRIES[:: 1 if TEST_ALL else 5]):
        program = with_adaptation(convolution_program(geometry, dtype, seed), seed)
        session = Session(program, threads=3)
        for turn in range(3):
            assert_gathers_as_the_reference(program, inputs_for(program, 1, turn), session)


def test_a_session_that_observes_nothing_has_no_operation_for_it():
    program = convolution_program(GEOMETRIES[0], "int8", 0)
    adaptable = with_adaptation(program, 0)
    plain, able = Session(program), Session(adaptable)
    assert plain._packed.codes.words.shape == able._packed.codes.words.shape
    assert len(able._packed.observing(as_codes=True).words) == len(able._packed.codes.words) + 1
