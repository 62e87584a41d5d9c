"""Outputs that int8 codes would drown: their last steps stay float32, and others do not."""

import dataclasses

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.passes.quantization.score_ranges import score_range
from tests.passes.test_keep import data, unlike
from tests.passes.test_quantize import Maker


def ratios(program, quantized, parts):
    """Signal to noise of slices of the output's last axis, in dB."""
    x = data(16, seed=5)
    wanted, found = reference.run(program, x), reference.run(quantized, x)
    return [10 * np.log10((wanted[..., i] ** 2).sum() / ((found - wanted)[..., i] ** 2).sum()) for i in parts]


def test_a_join_of_unlike_things_is_float_and_what_it_joins_is_not():
    program = unlike()
    parts = slice(0, 4), slice(4, 8)
    quantized = edgebn.quantize(program, data())
    floats = {step.name for step in quantized.steps if quantized.buffers[step.output].dtype == "float32" and "/" not in step.name}
    assert floats == {"concat6", "reshape7"}
    boxes, scores = ratios(program, quantized, parts)
    assert scores > 30
    without = edgebn.quantize(program, data(), keep={})
    assert without.dtype == "int8"
    old_boxes, old_scores = ratios(program, without, parts)
    assert scores > old_scores + 20
    assert boxes > old_boxes - 1


def scores_about(offset):
    make = Maker((8, 8, 4))
    logits = make.convolution("x", 8, (1, 1), post=(-np.inf, np.inf))
    program = make.finish(make.add(p.Elementwise, (logits,), (8, 8, 8), "sigmoid"))
    norm = program.steps[0].epilogue.norms[0]
    norm = dataclasses.replace(norm, beta=norm.beta + np.float32(offset))
    epilogue = dataclasses.replace(program.steps[0].epilogue, d=norm.beta, norms=(norm,))
    return dataclasses.replace(program, steps=(dataclasses.replace(program.steps[0], epilogue=epilogue), program.steps[1]))


@pytest.mark.parametrize(("offset", "dtype"), [(0.0, "int8"), (-12.0, "mixed")])
def test_scores_below_the_codes_of_a_sigmoid_are_float(offset, dtype):
    program = scores_about(offset)
    quantized = edgebn.quantize(program, data())
    assert quantized.dtype == dtype
    assert ratios(program, quantized, [slice(None)])[0] > 20
    if dtype == "mixed":
        assert ratios(program, edgebn.quantize(program, data(), keep={}), [slice(None)])[0] < 3


def test_what_a_float_sigmoid_reads_is_not_cut_where_one_sample_makes_others_look_flat():
    """One sample with large scores calibrates, and the rest, with small ones, is judged: as PP-OCR's detector has it."""
    program = scores_about(-16.0)
    large = 2 * data(1, seed=9)
    assert reference.run(program, large).max() > 20 * reference.run(program, data()).max()
    quantized = edgebn.quantize(program, np.concatenate([data(), large]))
    assert quantized.dtype == "mixed"
    assert ratios(program, quantized, [slice(None)])[0] > 20


def test_logits_far_below_the_scores_that_count_may_saturate():
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.uniform(-60, -20, 5000), rng.uniform(-4, 3, 100)])

    def error(low, high):
        step = (high - low) / 255
        codes = np.clip(np.rint(logits / step), np.rint(low / step), np.rint(low / step) + 255)
        return ((1 / (1 + np.exp(-codes * step)) - 1 / (1 + np.exp(-logits))) ** 2).sum()

    extremes = float(logits.min()), float(logits.max())
    low, high = score_range(logits, extremes)
    assert extremes[0] <= low <= -4
    assert error(low, high) < 0.1 * error(*extremes)
