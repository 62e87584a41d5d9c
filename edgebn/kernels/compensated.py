"""The class-compensated rules compiled: from what an observing run left to new drifts and variance ratios.

`adapt/policies/compensated.py` and `adapt/rule.py` are the specification, line by line, and give every constant. Each kernel is a
step of theirs; they hand over float32 arrays over the channels of all adapted layers. Sums over a layer's channels go in order.

state : float32 (planes * channels + 1,): s1, s2, where the rule tracks also f1, f2, and then how many samples were averaged.
status : a word, `records.LEARNED` or why nothing was.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.kernels.exact import exp, ln
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_f32, load_i8, load_i32, load_i64, load_u32, store_f32, store_i64, store_u8
from edgebn.kernels.records import LEARNED, UNFIT_SAMPLE, UNFIT_UPDATE

ZERO: Any = np.float32(0)
ONE: Any = np.float32(1)


@kernel
def deviate_i8(
    words: int,
    terms: int,
    term_words: int,
    term_steps: int,
    channels: int,
    factors: int,
    deviations: int,
    status: int,
) -> None:
    """Turn the sums of an observing run into d1 and d2.

    words: what the sums stand in, 32 bits each. term_words, term_steps int64 (terms, channels): the word of a term's S1, -1 where
    there is no such term, and the words from there to the low halves of S2, and again to the high ones. factors float32
    (3, channels): `reference.statistics.Scaling`. deviations float32 (2, channels).
    """
    store_i64(status, 0, LEARNED)
    for c in range(channels):
        first = second = np.int64(0)
        for i in range(terms):
            word, step = load_i64(term_words, i * channels + c), load_i64(term_steps, i * channels + c)
            if word >= 0:
                first += load_i32(words, word)
                second += np.int64(load_u32(words, word + step)) + (np.int64(load_u32(words, word + 2 * step)) << 16)
        store_f32(deviations, c, np.float32(first) * load_f32(factors, c))
        d2 = np.float32(second) * load_f32(factors, channels + c) - load_f32(factors, 2 * channels + c)
        store_f32(deviations, channels + c, d2)


@kernel
def deviate_f32(
    words: int,
    terms: int,
    term_words: int,
    term_steps: int,
    channels: int,
    factors: int,
    deviations: int,
    status: int,
) -> None:
    """See `deviate_i8`; sums are float32, and S2 is `term_steps` behind S1."""
    result = LEARNED
    for c in range(channels):
        first = second = ZERO
        for i in range(terms):
            word, step = load_i64(term_words, i * channels + c), load_i64(term_steps, i * channels + c)
            if word >= 0:
                first += load_f32(words, word)
                second += load_f32(words, word + step)
        d1 = first * load_f32(factors, c)
        d2 = second * load_f32(factors, channels + c) - load_f32(factors, 2 * channels + c)
        if not (np.isfinite(d1) and np.isfinite(d2)):
            result = UNFIT_SAMPLE
        store_f32(deviations, c, d1)
        store_f32(deviations, channels + c, d2)
    store_i64(status, 0, result)


@kernel
def predict_i8(logits: int, classes: int, logit_zero: int, logit_scale: float, label: int, margin: int) -> None:
    """Find the predicted class, and how far its logit stands above the second largest, of int8 codes."""
    best, second = 0, -1
    for k in range(1, classes):
        if load_i8(logits, k) > load_i8(logits, best):
            second = best
            best = k
        elif second < 0 or load_i8(logits, k) > load_i8(logits, second):
            second = k
    largest = np.float32(load_i8(logits, best) - logit_zero) * logit_scale
    store_i64(label, 0, best)
    store_f32(margin, 0, largest - np.float32(load_i8(logits, second) - logit_zero) * logit_scale)


@kernel
def predict_f32(logits: int, classes: int, label: int, margin: int, status: int) -> None:
    """Find the predicted class, and how far its logit stands above the second largest."""
    best, second = 0, -1
    for k in range(classes):
        value = load_f32(logits, k)
        if not np.isfinite(value):
            store_i64(status, 0, UNFIT_SAMPLE)
            return
        if k > 0 and value > load_f32(logits, best):
            second = best
            best = k
        elif k > 0 and (second < 0 or value > load_f32(logits, second)):
            second = k
    store_i64(label, 0, best)
    store_f32(margin, 0, load_f32(logits, best) - load_f32(logits, second))


@kernel
def _variance(first: float, second: float, min_variance: float) -> float:
    return max((ONE + second) - first * first, min_variance)


@kernel
def _rate(count: float, prior_count: float, min_rate: float) -> float:
    return max(ONE / (prior_count + count), min_rate)


@kernel
def compensate(
    channels: int,
    deviations: int,
    classes: int,
    label: int,
    margin: int,
    first_table: int,
    second_table: int,
    state: int,
    residuals: int,
    status: int,
    typical_margin: float,
    strength: float,
    min_variance: float,
    max_scale: float,
    min_divisor: float,
) -> None:
    """Take the source's and the predicted class's part off a sample.

    Tables float32 (classes + 1, channels): a row a class, and the source's offsets. residuals float32 (3, channels): r1, r2, and
    the variance before them.
    """
    if load_i64(status, 0) != LEARNED:
        return
    u = min(load_f32(margin, 0) / typical_margin, ONE)
    away = (ONE - strength) + strength * u
    source, known = classes * channels, load_i64(label, 0) * channels
    for c in range(channels):
        shift = away * load_f32(first_table, source + c) + u * load_f32(first_table, known + c)
        widening = away * load_f32(second_table, source + c) + u * load_f32(second_table, known + c)
        before = _variance(load_f32(state, c), load_f32(state, channels + c), min_variance)
        expected = min(np.sqrt(before), max_scale) * shift
        d1, d2 = load_f32(deviations, c), load_f32(deviations, channels + c)
        about = ((ONE + d2) - (expected + expected) * d1) + expected * expected
        store_f32(residuals, c, d1 - expected)
        store_f32(residuals, channels + c, about / max(ONE + widening, min_divisor) - ONE)
        store_f32(residuals, 2 * channels + c, before)


@kernel
def track(
    layers: int,
    counts: int,
    noise: int,
    channels: int,
    state: int,
    residuals: int,
    status: int,
    fast_rate: float,
    min_variance: float,
    max_change: float,
    settling: float,
) -> None:
    """Follow the residuals quickly; where that parts from the slow averages, start counting anew."""
    if load_i64(status, 0) != LEARNED:
        return
    fast, count = state + 8 * channels, state + 16 * channels
    change = ZERO
    begin = 0
    for i in range(layers):
        end = begin + load_i64(counts, i)
        gaps = spreads = ZERO
        for c in range(begin, end):
            f1, f2 = load_f32(fast, c), load_f32(fast, channels + c)
            f1 += fast_rate * (load_f32(residuals, c) - f1)
            f2 += fast_rate * (load_f32(residuals, channels + c) - f2)
            store_f32(fast, c, f1)
            store_f32(fast, channels + c, f2)
            gap = f1 - load_f32(state, c)
            spread = ln(_variance(f1, f2, min_variance)) - ln(load_f32(residuals, 2 * channels + c))
            gaps += gap * gap
            spreads += spread * spread
        size = np.float32(end - begin)
        change += (gaps / size + spreads / size) / load_f32(noise, i)
        begin = end
    if change / np.float32(layers) > max_change and load_f32(count, 0) > settling:
        store_f32(count, 0, ZERO)


@kernel
def average(
    channels: int, state: int, numbers: int, residuals: int, status: int, prior_count: float, max_count: float, min_rate: float
) -> None:
    """Average the residuals; the state has `numbers` numbers, the last of which counts."""
    if load_i64(status, 0) != LEARNED:
        return
    count = min(load_f32(state, numbers - 1) + ONE, max_count)
    store_f32(state, numbers - 1, count)
    rate = _rate(count, prior_count, min_rate)
    for c in range(2 * channels):
        s = load_f32(state, c)
        store_f32(state, c, s + rate * (load_f32(residuals, c) - s))


@kernel
def compute_gate(
    layers: int,
    counts: int,
    noise: int,
    channels: int,
    state: int,
    numbers: int,
    wanted: int,
    pins: int,
    prior_count: float,
    min_rate: float,
    drift_bound: float,
    min_ratio: float,
    max_ratio: float,
    gate_floor: float,
    gate_rate: float,
) -> None:
    """Weigh the evidence.

    wanted float32 (2 * channels + layers + 1,): drifts within bounds, logarithms of variance ratios within theirs, each layer's
    energy, the gate. pins: a byte a channel, whether a bound held it back.
    """
    level = ZERO
    begin = 0
    for i in range(layers):
        end = begin + load_i64(counts, i)
        drifts = spreads = ZERO
        for c in range(begin, end):
            s1, s2 = load_f32(state, c), load_f32(state, channels + c)
            variance = (ONE + s2) - s1 * s1
            drift = min(max(s1, -drift_bound), drift_bound)
            ratio = min(max(variance, min_ratio), max_ratio)
            logarithm = ln(ratio)
            drifts += drift * drift
            spreads += logarithm * logarithm
            store_f32(wanted, c, drift)
            store_f32(wanted, channels + c, logarithm)
            store_u8(pins, c, np.uint8(drift != s1 or ratio != variance))
        size = np.float32(end - begin)
        energy = drifts / size + spreads / size
        store_f32(wanted, 2 * channels + i, energy)
        level += energy / load_f32(noise, i)
        begin = end
    threshold = gate_floor + gate_rate * _rate(load_f32(state, numbers - 1), prior_count, min_rate)
    gate = min(max((level / np.float32(layers)) / threshold - ONE, ZERO), ONE)
    store_f32(wanted, 2 * channels + layers, gate)


@kernel
def commit(
    layers: int,
    channels: int,
    state: int,
    numbers: int,
    backup: int,
    wanted: int,
    drifts: int,
    ratios: int,
    energies: int,
    gate: int,
    status: int,
    strength: float,
) -> None:
    """Say what is to be folded; or where some number is not finite, leave everything as it was, the state too."""
    if load_i64(status, 0) != LEARNED:
        return
    openness = load_f32(wanted, 2 * channels + layers)
    share = strength * openness
    finite = np.isfinite(openness)
    for i in range(numbers):
        finite = finite and np.isfinite(load_f32(state, i))
    for c in range(channels):
        moved, spread = share * load_f32(wanted, c), exp(share * load_f32(wanted, channels + c))
        finite = finite and np.isfinite(moved) and np.isfinite(spread)
        store_f32(wanted, c, moved if share > 0 else ZERO)
        store_f32(wanted, channels + c, spread if share > 0 else ONE)
    if not finite:
        store_i64(status, 0, UNFIT_UPDATE)
        for i in range(numbers):
            store_f32(state, i, load_f32(backup, i))
        return
    for c in range(channels):
        store_f32(drifts, c, load_f32(wanted, c))
        store_f32(ratios, c, load_f32(wanted, channels + c))
    for i in range(layers):
        store_f32(energies, i, load_f32(wanted, 2 * channels + i))
    store_f32(gate, 0, openness)


SHARED_RULE = (compensate, track, average, compute_gate, commit)
INT8_RULE = (deviate_i8, predict_i8)
FLOAT32_RULE = (deviate_f32, predict_f32)
