"""The float form of the integer contract against the contract itself, at the accumulators where an output changes and beside them.

NumPy plays the kernel: one rounding of real * scale + offset to float32, truncation, the negative rounding, the test for doubt.
"""

from dataclasses import replace

import numpy as np
import pytest

from edgebn.kernels import requantization
from edgebn.kernels.isa import INSTRUCTION_SETS
from edgebn.kernels.records import CLIPPED, CONVERTED, DOUBLE_ROUNDED, INT8_WORDS, NEGATIVE_ROUNDING, UNIT_BITS

ISA = next(isa for isa in INSTRUCTION_SETS if isa.name == "avx2")  # 8 lanes
SEEDS = range(40)


USUAL = (200.0, 20.0, 1.0)  # times that the outputs of all accumulators would fill the range


def contract(rng, inputs, gains=USUAL):
    """Return a random contract of eight channels, and weights (8, inputs)."""
    weight = rng.integers(-127, 128, (8, inputs)).astype(np.int8)
    neg = bool(rng.integers(2))
    zero_point = int(rng.choice([-128, -1, 0, 12, 127]))
    # Outputs fill the range for accumulators of a size between an eighth of what is possible and twice that.
    reach = 127.0 * (1 + np.abs(weight.astype(np.int64)).sum(axis=1)) * rng.uniform(0.125, 2, 8)
    real = rng.choice(gains, 8) / reach
    mantissa, exponent = np.frexp(real)
    m = np.rint(mantissa * 2.0**31).astype(np.int64).clip(max=2**31 - 1)
    s = 31 - exponent
    if neg:
        e = np.maximum(s - 31, 1)
        s, r = 31 + e, (1 << 30) + (1 << (30 + e))
    else:
        m *= rng.choice([1, -1], 8)
        r = (1 << (s - 1)) + rng.integers(-(1 << 20), 1 << 20, 8) * (1 << (s - 16))
    bias = rng.integers(-20_000, 20_000, 8)
    lo, hi = np.full(8, -(2**31) + 1), np.full(8, 2**31 - 1)
    if rng.integers(2):
        lo = rng.integers(-5000, 5000, 8)
    arrays = {"acc_bias": bias, "lo": lo, "hi": hi, "m": m, "r": r, "s": s}
    return requantization.Requantization(**arrays, neg=neg, zero_point=zero_point, qmin=-128, qmax=127), weight


def exact(how, u, channel):
    """Return zero_point + 128 + ((u * m + r - NEG) >> s), clipped to a byte."""
    product = u.astype(object) * int(how.m[channel]) + int(how.r[channel]) - np.where((u < 0) & how.neg, NEGATIVE_ROUNDING, 0)
    return np.clip((product >> int(how.s[channel])) + how.zero_point + 128, 0, 255).astype(np.int64)


DRAWN = 2000


def interesting(how, channel, low, high, rng):
    """Return accumulators in low..high: `DRAWN` at random, then the neighbours of those where the output changes."""
    steps = np.arange(-1, 258) - how.zero_point - 128
    changes = ((steps.astype(object) << int(how.s[channel])) - int(how.r[channel])) // (int(how.m[channel]) or 1)
    near = np.concatenate([np.asarray(changes, np.float64) + d for d in (-2, -1, 0, 1, 2)])
    near = near[(near >= low) & (near <= high)].astype(np.int64)
    return np.concatenate([rng.integers(low, high + 1, DRAWN), near, [low, high, 0, -1, 1]])


def compare(how, weight, rng):
    """Compare what is not in doubt with the contract; return doubts and draws of accumulators that no `lo` clips, and the mode."""
    packed = requantization.pack_epilogue_i8(ISA, how, weight, 1)
    words = dict(zip(INT8_WORDS, packed.data[0, : 32 * len(INT8_WORDS)].view(np.int32).reshape(-1, 8), strict=True))
    mode = packed.scalars["mode"]
    doubts = total = 0
    for channel in range(8):
        reach = abs(int(how.acc_bias[channel])) + 128 * int(np.abs(weight[channel].astype(np.int64)).sum())
        acc = interesting(how, channel, -reach, reach, rng)
        u = np.clip(acc, how.lo[channel], how.hi[channel])
        word = (acc + int(words["base"][channel])).astype(np.int32)
        word = np.clip(word, words["lo"][channel], words["hi"][channel])
        real = word.astype(np.float32) if mode & CONVERTED else word.view(np.float32)
        scale, offset = (np.longdouble(words[name].view(np.float32)[channel]) for name in ("scale", "offset"))
        # 64 bits hold the product: the sum is rounded as a fused multiply-add rounds.
        t = (real.astype(np.longdouble) * scale + offset).astype(np.float32)
        rounds_negative = (word < words["base"][channel]) & bool(mode & DOUBLE_ROUNDED)
        units = t.astype(np.int64) - np.where(rounds_negative, int(words["negative_rounding"][channel]), 0)
        is_safe = (units & packed.scalars["safe_mask"]) != 0
        found = np.clip(units >> UNIT_BITS, 0, 255)
        np.testing.assert_array_equal(found[is_safe], exact(how, u, channel)[is_safe])
        # In doubt, kernels compute the contract of the clipped accumulator.
        clipped = word.astype(np.int64) - int(words["base"][channel])
        np.testing.assert_array_equal(exact(how, clipped, channel), exact(how, u, channel))
        free = (acc == u)[:DRAWN]
        doubts, total = doubts + int((free & ~is_safe[:DRAWN]).sum()), total + int(free.sum())
    return doubts, total, mode


@pytest.mark.parametrize("inputs", [1, 9, 64, 300, 20_000])
def test_what_is_not_in_doubt_is_exact(inputs):
    doubts = total = based = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        one = compare(*contract(rng, inputs), rng)
        doubts, total, based = doubts + one[0], total + one[1], based + (not one[2] & CONVERTED)
    assert doubts < 0.01 * total, "nearly all accumulators must take the short way"
    assert (based > 0) == (inputs < 20_000)


@pytest.mark.parametrize("inputs", [9, 64, 300, 20_000])
def test_channels_of_large_gain_are_clipped_where_they_saturate(inputs):
    doubts = total = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        one = compare(*contract(rng, inputs, (3e7, 1e6, 1e5, 20.0)), rng)
        assert one[2] & CLIPPED
        doubts, total = doubts + one[0], total + one[1]
    assert doubts < 0.02 * total, "nearly all accumulators must take the short way"


def test_channels_that_start_far_outside_saturate_all_the_same():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        how, weight = contract(rng, 64, (1e6, 1.0, 1e-6))
        far = rng.choice([0, 1 << 58, -(1 << 58)], 8)
        how = replace(how, r=how.r + far, m=np.where(rng.integers(2, size=8) == 1, how.m, np.sign(how.m)))
        compare(how, weight, rng)


def float_form(how, weight, *, with_base):
    """Return the guard of a packed contract, and the channels that have a float form at all."""
    packed = requantization.pack_epilogue_i8(ISA, how, weight, 1, with_base=with_base)
    words = dict(zip(INT8_WORDS, packed.data[0, : 32 * len(INT8_WORDS)].view(np.int32).reshape(-1, 8), strict=True))
    return (requantization.UNIT - packed.scalars["safe_mask"]) // 2, words["offset"] != 0, bool(packed.scalars["mode"] & CONVERTED)


@pytest.mark.parametrize("gains", [USUAL, (3e7, 1e6, 20.0), (200.0, 1e-3, 1e-6)])
@pytest.mark.parametrize("inputs", [1, 64, 300])
def test_a_base_raises_no_guard_by_more_than_it_is_worth(inputs, gains):
    converts = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        how, weight = contract(rng, inputs, gains)
        (guard, formed, by_conversion), (least, could, _) = (float_form(how, weight, with_base=base) for base in (True, False))
        assert guard <= requantization.WORTH * least
        assert formed[could].all()
        converts += by_conversion
    assert converts < len(SEEDS)


def test_places_without_a_channel_are_in_no_doubt():
    how, weight = contract(np.random.default_rng(0), 9)
    few = replace(how, **{name: getattr(how, name)[:5] for name in ("acc_bias", "lo", "hi", "m", "r", "s")})
    all_eight, five = (requantization.pack_epilogue_i8(ISA, *one, 1) for one in ((how, weight), (few, weight[:5])))
    words = [packed.data[0, : 32 * len(INT8_WORDS)].view(np.int32).reshape(-1, 8) for packed in (all_eight, five)]
    multipliers = INT8_WORDS.index("m")
    np.testing.assert_array_equal(words[0][multipliers, :5], words[1][multipliers, :5])
    idle = dict(zip(INT8_WORDS, words[1][:, 5:], strict=True))
    np.testing.assert_array_equal(idle.pop("offset").view(np.float32), requantization.UNIT / 2)
    assert not any(word.any() for word in idle.values())
