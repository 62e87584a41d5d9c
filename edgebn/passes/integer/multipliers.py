"""Real numbers to the integers of docs/integer-contract.md: multipliers, shifts and roundings, with proofs that nothing overflows.

Single rounding is edgebn's own; double rounding is TensorFlow Lite Micro's (gemmlowp). Knows arithmetic and the plain data of
program.py; nothing of graphs, calibration or which layer is which. `where` names the layer in messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from edgebn.errors import QuantizationError
from edgebn.functions import OF_REALS
from edgebn.program import CODE_RANGES, MATMUL_DEPTH, Buffer, IntAdd, IntBinary, IntEpilogue, IntMultiply, Norm
from edgebn.quick_dataclass import replace

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
MAX_SHIFT = 62
CODE_SPAN = 512  # further than this from the zero point every code is saturated (zero point and code are both int8)
ADD_LEFT_SHIFT = 20  # TensorFlow Lite's integer Add works in units of 2**-20
WIDE_LEFT_SHIFT = 15  # of int16 codes
WIDE_SPAN = 1 << 17  # what CODE_SPAN is for int16
WIDE_REACH = 1 << 15  # the largest magnitude of an int16 code
MAX_WIDE_POSITIONS = (1 << 16) - 1  # that an average of int16 codes is of
MAX_MULTIPLIER = 0x7FFF  # of 15 bits
WIDE_SUM_BITS = 47  # of the sums that TensorFlow Lite Micro's 15-bit multipliers are made for
SQUARED_LEFT_SHIFT = 7  # of a squared difference
SOFTMAX_INPUT_BITS = 5  # TensorFlow Lite's integer Softmax: integer bits of the scaled differences


def compose(norms: Iterable[Norm], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 (a, d) of shape (channels,): what the batch norms do in order, y = a * x + d."""
    a, d = np.ones(channels), np.zeros(channels)
    for norm in norms:
        factor = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
        a = a * factor
        d = (d - norm.mean.astype(np.float64)) * factor + norm.beta.astype(np.float64)
    return a, d


def single_rounding(
    a: np.ndarray, offset: np.ndarray, u_low: np.ndarray, u_high: np.ndarray, where: str, span: int = CODE_SPAN
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (m, r, s) such that (u * m + r) >> s is a * u + offset rounded half up, for every u_low <= u <= u_high.

    The shift is the largest in 1..62 that keeps |m| < 2**31 and |u * m + r| < 2**63: m has 31 significant bits wherever
    a is neither zero nor tiny. An offset so large that no u brings the sum near a code is drawn in, which changes no code.

    Parameters
    ----------
    a, offset : ndarray of float64, shape (channels,)
        In output codes per accumulator unit, and output codes (zero point left out).
    u_low, u_high : ndarray of int64, shape (channels,)
        Bounds of u.
    where : str
    span : int
        Further than this from the zero point every code is saturated.

    Returns
    -------
    m : ndarray of int32, r : ndarray of int64, s : ndarray of uint8

    Raises
    ------
    QuantizationError
        A multiplier of 2**30 or more, or not a number.
    """
    if not (np.isfinite(a).all() and np.isfinite(offset).all()):
        raise QuantizationError(f"{where}: its multiplier is infinite or NaN; check its batch norm's variance, or train it again")
    if (np.abs(a) >= 2.0**30).any():
        raise QuantizationError(
            f"{where}: one accumulator step is worth {np.abs(a).max():.3g} output codes, more than codes can carry: a batch norm "
            "whose variance is near zero, or values that cancel to almost nothing; retrain it, or keep this network in float32"
        )
    reach = np.maximum(np.abs(u_low.astype(np.float64)), np.abs(u_high.astype(np.float64)))
    limit = np.abs(a) * reach + span
    offset = np.clip(offset, -limit, limit)
    shift = np.where(a == 0, MAX_SHIFT, np.clip(31 - np.frexp(a)[1], 1, MAX_SHIFT))
    while True:
        m = np.rint(np.ldexp(a, shift.astype(np.int32)))
        # the margin is for the rounding of this float64 estimate; the exact proof follows in `prove_epilogue`
        largest = np.abs(m) * reach + np.ldexp(np.abs(offset) + 1, shift.astype(np.int32))
        too_large = (np.abs(m) > INT32_MAX) | (largest >= 2.0**63 - 2.0**23)
        if not too_large.any():
            break
        shift = shift - too_large
        if (shift < 1).any():
            raise QuantizationError(f"{where}: no shift keeps its 64-bit sums from overflowing; keep this network in float32")
    r = np.rint(np.ldexp(offset, shift.astype(np.int32))).astype(np.int64) + (np.int64(1) << (shift - 1))
    return m.astype(np.int32), r, shift.astype(np.uint8)


def refold(
    epilogue: IntEpilogue, acc_scale: np.ndarray, scale: float, bounds: tuple[np.ndarray, np.ndarray], where: str
) -> IntEpilogue:
    """Return `epilogue` with (m, r, s, lo, hi) written anew from its bias, clips and norms. Touches no weight.

    y = clip((clip(acc * acc_scale + bias, pre) * a + d) / scale, ...), the bias moved into r. A clip bound falls between two
    accumulator values; it is rounded to the nearer one, which moves the output by at most |a| * acc_scale / 2: far below
    one code wherever an accumulator step is. Where `pre` holds for every possible accumulator, the channel is constant,
    and its exact value goes into r with m = 0.

    Parameters
    ----------
    epilogue : IntEpilogue
        Gives bias, pre, norms and everything that is kept (acc_bias, zero_point, qmin, qmax). An int64 acc_bias says that codes are
        int16, and bounds int64.
    acc_scale : ndarray of float64, shape (channels,)
        Real value of one accumulator step: input scale times weight scale.
    scale : float
        Of the output.
    bounds : (low, high)
        int64 arrays, shape (channels,): what the accumulator can be for any input (`accumulator_bounds`).
    where : str
    """
    channels = len(epilogue.acc_bias)
    bias = np.zeros(channels) if epilogue.bias is None else epilogue.bias.astype(np.float64)
    a, d = compose(epilogue.norms, channels)
    low, high = ((bound - bias) / acc_scale for bound in epilogue.pre)  # in accumulator units
    constant = (low >= bounds[1]) | (high <= bounds[0])
    held_at = np.where(low >= bounds[1], epilogue.pre[0], epilogue.pre[1])
    with np.errstate(invalid="ignore"):  # an infinite bound holds no channel; `where` drops its product
        offset = np.where(constant, held_at * a + d, bias * a + d) / scale
    multiplier = np.where(constant, 0.0, a * acc_scale / scale)
    lo = np.where(constant, bounds[0], np.clip(np.rint(low), bounds[0], bounds[1])).astype(np.int64)
    hi = np.where(constant, bounds[1], np.clip(np.rint(high), bounds[0], bounds[1])).astype(np.int64)
    is_wide = epilogue.acc_bias.dtype == np.int64
    m, r, s = single_rounding(multiplier, offset, lo, hi, where, WIDE_SPAN if is_wide else CODE_SPAN)
    kind, least, most = (np.int64, -(2**62), 2**62) if is_wide else (np.int32, -INT32_MAX - 1, INT32_MAX)
    lo = np.where(lo <= bounds[0], least, lo).astype(kind)  # a bound that never holds is written as none
    hi = np.where(hi >= bounds[1], most, hi).astype(kind)
    folded = replace(epilogue, lo=lo, hi=hi, m=m, r=r, s=s, neg=False)
    prove_epilogue(folded, bounds, where)
    return folded


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Return (q, shift) with real ~ q * 2**(shift - 31), q 0 or in [2**30, 2**31): TensorFlow Lite's QuantizeMultiplier.

    Multipliers that would need a right shift beyond 31 become zero, as there.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    scaled = fraction * 2**31  # exact: a power of two
    q = math.floor(scaled + 0.5) if scaled >= 0 else -math.floor(-scaled + 0.5)
    if q == 2**31:
        q, shift = q // 2, shift + 1
    return (0, 0) if shift < -31 else (q, shift)


def double_rounding(real: float, where: str) -> tuple[int, int, int, bool]:
    """Return (m, r, s, neg) of one multiplier under TensorFlow Lite Micro's double rounding (docs/integer-contract.md)."""
    if not (math.isfinite(real) and real >= 0.0):
        raise QuantizationError(f"{where}: its multiplier is {real}; the file's scales must be positive numbers")
    q, shift = quantize_multiplier(real)
    e = -shift
    if e >= 1:
        return q, 2**30 + 2 ** (30 + e), 31 + e, q != 0
    if shift > 30:
        raise QuantizationError(f"{where}: its multiplier {real:.3g} is beyond 2**30; the file's scales are damaged")
    return q, 2 ** (30 - shift), 31 - shift, False


def wide_epilogue(
    real: np.ndarray, acc_bias: np.ndarray, output: tuple[int, int, int], bounds: tuple[np.ndarray, np.ndarray], where: str
) -> IntEpilogue:
    """Return the epilogue that gives TensorFlow Lite Micro's bits where int16 codes' sums have 64 bits.

    Multipliers are rounded to 15 bits there, and the result is rounded once. Parameters as for `double_rounding_epilogue`.
    """
    parts = []
    for value in real:
        if not (math.isfinite(value) and value >= 0.0):
            raise QuantizationError(f"{where}: its multiplier is {value}; the file's scales must be positive numbers")
        parts.append(_of_15_bits(float(value), where))
    m, r, s_all = (np.array(column, np.int64) for column in zip(*parts, strict=True))
    if max(np.abs(bounds[0]).max(initial=0), np.abs(bounds[1]).max(initial=0)) >= 1 << WIDE_SUM_BITS:
        raise QuantizationError(f"{where}: its sums do not fit {WIDE_SUM_BITS} bits")
    least, most = np.full(len(m), -(2**62), np.int64), np.full(len(m), 2**62, np.int64)
    epilogue = IntEpilogue(acc_bias, least, most, m.astype(np.int32), r, s_all.astype(np.uint8), False, *output)
    prove_epilogue(epilogue, bounds, where)
    return epilogue


def _of_15_bits(real: float, where: str) -> tuple[int, int, int]:
    """Return (m, r, s) of a multiplier of 15 bits, which rounds once."""
    q, shift = quantize_multiplier(real)
    s = 15 - shift
    if not 1 <= s <= MAX_SHIFT:
        raise QuantizationError(f"{where}: its multiplier {real:.3g} is out of proportion; the file's scales are damaged")
    return min((q + (1 << 15)) >> 16, MAX_MULTIPLIER), 1 << (s - 1), s


def wide_product(scales: tuple[float, float], scale: float, output: tuple[int, int, int], where: str) -> IntMultiply:
    """Return TensorFlow Lite Micro's rescaling of a sum of products of int16 codes, which has 64 bits."""
    m, r, s = _of_15_bits(scales[0] * scales[1] / scale, where)
    return IntMultiply(m, r, s, False, *output)


def widened(epilogue: IntEpilogue) -> IntEpilogue:
    """Return an epilogue with the types that int16 buffers have."""
    return replace(epilogue, **{name: getattr(epilogue, name).astype(np.int64) for name in ("acc_bias", "lo", "hi")})


def double_rounding_epilogue(
    real: np.ndarray,
    acc_bias: np.ndarray,
    output: tuple[int, int, int],
    bounds: tuple[np.ndarray, np.ndarray],
    where: str,
    span: int = CODE_SPAN,
) -> IntEpilogue:
    """Return the epilogue that gives TensorFlow Lite Micro's bits.

    NEG belongs to the whole step, but channels whose multiplier is 1/2 or more must not have it. Where both kinds
    meet, such a channel is moved up until u is never negative: beyond |u| = 2 * span its code is saturated anyway.

    Parameters
    ----------
    real : ndarray of float64, shape (channels,)
        Real multipliers, input scale * weight scale / output scale as the file's kernel computes them.
    acc_bias : ndarray of int64, shape (channels,)
        Bias codes with the input's zero point folded in.
    output : (zero_point, qmin, qmax)
    bounds : (low, high)
        Of the accumulator, `acc_bias` included (`accumulator_bounds`).
    where : str
    span : int
        Further than this from the zero point every code is saturated.
    """
    zero_point, qmin, qmax = output
    parts = [double_rounding(float(value), where) for value in real]
    m, r, s = (np.array(column, np.int64) for column in list(zip(*parts, strict=True))[:3])
    negs = np.array([part[3] for part in parts])
    neg = bool(negs.any()) and qmin < zero_point
    lo = np.full(len(m), -INT32_MAX - 1, np.int64)
    hi = np.full(len(m), INT32_MAX, np.int64)
    low, high = bounds
    if neg and not negs.all():
        lift = np.where(negs, 0, 2 * span).astype(np.int64)
        lo, hi = np.where(lift > 0, 0, lo), np.where(lift > 0, 2 * lift, hi)
        r, acc_bias, low, high = r - lift * m, acc_bias + lift, low + lift, high + lift
    if (low < -INT32_MAX - 1).any() or (high > INT32_MAX).any():
        raise QuantizationError(f"{where}: its sums do not fit 32 bits")
    epilogue = IntEpilogue(
        acc_bias.astype(np.int32),
        lo.astype(np.int32),
        hi.astype(np.int32),
        m.astype(np.int32),
        r,
        s.astype(np.uint8),
        neg,
        zero_point,
        qmin,
        qmax,
    )
    prove_epilogue(epilogue, (low, high), where)
    return epilogue


def wide_bounds(weight: np.ndarray, acc_bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 (low, high) of acc_bias + sum(w * q) for any int16 codes q."""
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    least, most = CODE_RANGES["int16"]
    return acc_bias + least * positive + most * negative, acc_bias + most * positive + least * negative


def accumulator_bounds(weight: np.ndarray, acc_bias: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 (low, high) of acc_bias + sum(w * q) for any int8 codes q, proving that every partial sum fits int32.

    Room for the lift of `double_rounding_epilogue` is left.

    Parameters
    ----------
    weight : ndarray of int8, shape (channels, ...)
    acc_bias : ndarray of int64, shape (channels,)

    Raises
    ------
    QuantizationError
        The sum could overflow for some input.
    """
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    if (np.abs(acc_bias.astype(object)) + 128 * (positive - negative)).max(initial=0) > INT32_MAX - 2 * CODE_SPAN:
        raise QuantizationError(
            f"{where}: {rows.shape[1]} products of int8 numbers and its bias can overflow a 32-bit sum; "
            "split the layer, shrink its weights, or keep this network in float32"
        )
    acc_bias = acc_bias.astype(np.int64)
    return acc_bias - 128 * positive + 127 * negative, acc_bias + 127 * positive - 128 * negative


def prove_epilogue(epilogue: IntEpilogue, bounds: tuple[np.ndarray, np.ndarray], where: str) -> None:
    """Refuse an epilogue whose u * m + r - NEG could overflow int64 for an accumulator within `bounds` (Python integers)."""
    negative_rounding = 2**31 if epilogue.neg else 0
    if _surely_fits(epilogue, bounds):
        return
    rows = zip(bounds[0], bounds[1], epilogue.lo, epilogue.hi, epilogue.m, epilogue.r, epilogue.s, strict=True)
    for low, high, lo, hi, m, r, s in rows:
        ends = [min(max(int(end), int(lo)), int(hi)) for end in (low, high)]
        largest = max(abs(u * int(m)) for u in ends) + abs(int(r)) + negative_rounding
        if largest > INT64_MAX or not 1 <= int(s) <= MAX_SHIFT:
            raise QuantizationError(f"{where}: its 64-bit sums can overflow (shift {int(s)}); keep this network in float32")


def _surely_fits(epilogue: IntEpilogue, bounds: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether sums stay so far within int64 that float64 can tell; it errs by less than the factor of two that is left free."""
    ends = [np.clip(np.asarray(end, np.float64), epilogue.lo, epilogue.hi) for end in bounds]
    largest = np.maximum(*map(np.abs, ends)) * np.abs(epilogue.m.astype(np.float64)) + np.abs(epilogue.r.astype(np.float64))
    in_range = (epilogue.s >= 1) & (epilogue.s <= MAX_SHIFT)
    return bool((in_range & (largest < 2.0**62)).all())


def prove_statistics(positions: int, where: str) -> None:
    """Refuse adaptation of a layer whose sum of int16 deviations over `positions` could overflow int32 (docs/adaptation.md)."""
    if positions * 2**15 > INT32_MAX:
        raise QuantizationError(
            f"{where}: its {positions} output positions are too many for 32-bit statistics (at most {INT32_MAX // 2**15}); "
            "adapt other layers, or use a smaller input"
        )


def single_rounding_add(
    scales: tuple[float, float], scale: float, output: tuple[int, int, int], where: str, wide: bool = False
) -> IntAdd:
    """Return edgebn's own addition of int8 or int16 codes: y = (a * m[0] + b * m[1] + r) >> s with one shift for both inputs."""
    real = np.array([value / scale for value in scales])
    reach = np.full(2, 2 * (WIDE_REACH if wide else 255), np.int64)  # two terms
    _, _, shifts = single_rounding(real, np.zeros(2), -reach, reach, where)
    s = int(shifts.min())
    m = tuple(int(value) for value in np.rint(np.ldexp(real, s)))
    zero_point, qmin, qmax = output
    return IntAdd("single", m, (), 2 ** (s - 1), s, zero_point, qmin, qmax)


def double_rounding_add(
    scales: tuple[float, float], scale: float, output: tuple[int, int, int], where: str, wide: bool = False
) -> IntAdd:
    """Return TensorFlow Lite Micro's addition: inputs in 2**-20 (int16: 2**-15) of twice the larger scale, then the output's."""
    twice_max = 2.0 * max(scales)
    unit = 2 ** (WIDE_LEFT_SHIFT if wide else ADD_LEFT_SHIFT)
    real = (scales[0] / twice_max, scales[1] / twice_max, twice_max / (unit * scale))
    if not all(math.isfinite(value) and 0.0 < value < 1.0 for value in real):
        raise QuantizationError(f"{where}: its scales {scales} and {scale} are out of proportion; the file is damaged")
    parts = [quantize_multiplier(value) for value in real]
    zero_point, qmin, qmax = output
    return IntAdd("double", tuple(q for q, _ in parts), tuple(-shift for _, shift in parts), 0, 1, zero_point, qmin, qmax)


def single_rounding_multiply(
    scales: tuple[float, float], scale: float, output: tuple[int, int, int], where: str, terms: int = 1, wide: bool = False
) -> IntMultiply:
    """Return edgebn's own product of int8 or int16 codes, or sum of so many products."""
    real = np.array([scales[0] * scales[1] / scale])
    if terms > MATMUL_DEPTH:
        raise QuantizationError(f"{where}: a sum of {terms} products of codes can overflow 32 bits")
    reach = np.array([(WIDE_REACH if wide else 255) ** 2 * terms], np.int64)
    m, r, s = single_rounding(real, np.zeros(1), -reach, reach, where)
    zero_point, qmin, qmax = output
    return IntMultiply(int(m[0]), int(r[0]), int(s[0]), False, zero_point, qmin, qmax)


def double_rounding_multiply(scales: tuple[float, float], scale: float, output: tuple[int, int, int], where: str) -> IntMultiply:
    """Return TensorFlow Lite Micro's int8 product."""
    m, r, s, neg = double_rounding(scales[0] * scales[1] / scale, where)
    zero_point, qmin, qmax = output
    return IntMultiply(m, r, s, neg and qmin < zero_point, zero_point, qmin, qmax)


def rescaling(source: float, scale: float, output: tuple[int, int, int], where: str) -> IntMultiply:
    """Return TensorFlow Lite Micro's rescaling of codes; nothing but the clip where the scale stays."""
    zero_point, qmin, qmax = output
    if source == scale:
        return IntMultiply(1, 0, 0, False, zero_point, qmin, qmax)
    return double_rounding_multiply((source, 1.0), scale, output, where)


def compared_codes(scale: float, where: str) -> tuple[IntMultiply, IntMultiply]:
    """Return what turns codes into steps of 1/256 as TensorFlow Lite does before it compares, and the same below zero.

    There a code is multiplied by 256, then by the scale in double rounding; here 8 bits less of all numbers say the same.
    """
    multiplier, shift = quantize_multiplier(scale)
    if not 0.0 < scale < 1.0 or shift > 0:
        raise QuantizationError(f"{where}: it compares codes of scale {scale:.3g}, which TensorFlow Lite does below 1 only")
    right = -shift
    rounding = 2**22 + (2 ** (22 + right) if right else 0)
    above = IntMultiply(multiplier, rounding, 23 + right, False, 0, *CODE_RANGES["int16"])
    return above, replace(above, r=rounding - (2**23 if right else 0))


def below_zero(factor: float, source: float, scale: float, output: tuple[int, int, int], where: str) -> IntMultiply:
    """Return TensorFlow Lite Micro's product of codes below zero with a constant, whose sign decides how it rounds."""
    arithmetic = double_rounding_multiply((source, abs(factor)), scale, output, where)
    return replace(arithmetic, m=-arithmetic.m, neg=False) if factor < 0 else arithmetic


def binary_arithmetic(
    function: str, scales: tuple[float, float], scale: float, output: tuple[int, int, int], where: str, wide: bool = False
) -> IntBinary:
    """Return TensorFlow Lite Micro's difference or squared difference; a maximum or minimum is formed alike.

    Inputs in 2**-shift of twice the larger scale: at most 255 << 20 in size, and their squared difference at most 2**30.
    """
    if function in OF_REALS:
        raise QuantizationError(
            f"{where}: the function '{function}' of two values has no int8 form; keep the model, or this layer, in float32"
        )
    squared = function == "squared_difference"
    shift = (0 if wide else SQUARED_LEFT_SHIFT) if squared else WIDE_LEFT_SHIFT if wide else ADD_LEFT_SHIFT
    twice_max = 2.0 * max(scales)
    unit = twice_max / 2**shift
    real = (scales[0] / twice_max, scales[1] / twice_max, (unit * unit if squared else unit) / scale)
    parts = (
        [quantize_multiplier(value) for value in real] if all(math.isfinite(value) and 0.0 < value < 1.0 for value in real) else []
    )
    if not parts or any(exponent < -31 for _, exponent in parts):
        raise QuantizationError(f"{where}: its scales {scales} and {scale} are out of proportion; the file is damaged")
    (m0, e0), (m1, e1), (m2, e2) = parts
    return IntBinary(shift, (m0, m1, m2), (-e0, -e1, -e2), *output)


def average_epilogue(source: Buffer, output: Buffer, counts: Sequence[int], where: str) -> IntEpilogue:
    """Return the epilogue of an average with an output scale of its own: an entry for each of the numbers of codes in `counts`."""
    is_wide = output.dtype == "int16"
    if max(counts) > (MAX_WIDE_POSITIONS if is_wide else INT32_MAX // 256):
        raise QuantizationError(
            f"{where}: a sum of {max(counts)} codes can overflow {64 if is_wide else 32} bits; pool in two steps"
        )
    count = np.array(counts, np.int64)
    acc_bias = -count * source.zero_point
    start = identity_epilogue(acc_bias, output)
    least, most = CODE_RANGES[source.dtype]
    return refold(start, source.scale / count, output.scale, (acc_bias + least * count, acc_bias + most * count), where)


def identity_epilogue(acc_bias: np.ndarray, output: Buffer, post: tuple[float, float] = (-np.inf, np.inf)) -> IntEpilogue:
    """Return an epilogue for `refold` to complete: `acc_bias`, the output's zero point and the clip after the batch norm."""
    channels = len(acc_bias)
    unset = np.zeros(channels, np.int32)
    qmin, qmax = clip_codes(output, post)
    wide, shift = np.zeros(channels, np.int64), np.ones(channels, np.uint8)
    start = IntEpilogue(
        acc_bias.astype(np.int32), unset, unset, unset, wide, shift, False, output.zero_point, qmin, qmax, post=post
    )
    return widened(start) if output.dtype == "int16" else start


def clip_codes(output: Buffer, clip: tuple[float, float]) -> tuple[int, int]:
    """Return (qmin, qmax): the codes of a clip's bounds, rounded half to even, within the output's type."""
    least, most = CODE_RANGES[output.dtype]
    low, high = (min(max(bound / output.scale, 8.0 * least), 8.0 * most) for bound in clip)
    qmin = min(max(output.zero_point + int(np.rint(low)), least), most)
    qmax = min(max(output.zero_point + int(np.rint(high)), least), most)
    return qmin, qmax


def softmax_parameters(beta: float, scale: float, where: str) -> tuple[int, int, int]:
    """Return (multiplier, left_shift, diff_min) of TensorFlow Lite's integer softmax for an input scale.

    Its multiplier is 1 at least. Of a finer scale (of a network that nobody trained) 255 codes are less than 2**-18, of which no
    output of 8 bits shows more than that all numbers are equal: it counts as the finest.
    """
    real = min(beta * scale * 2.0 ** (31 - SOFTMAX_INPUT_BITS), 2.0**31 - 1.0)
    if 0.0 < real < 1.0:
        real = 1.0
    if not real >= 1.0:
        raise QuantizationError(f"{where}: softmax over an input of scale {scale:.3g} is beyond its integer arithmetic")
    multiplier, left_shift = quantize_multiplier(real)
    largest = ((1 << SOFTMAX_INPUT_BITS) - 1) * 2.0 ** (31 - SOFTMAX_INPUT_BITS) / 2.0**left_shift
    return multiplier, left_shift, -math.floor(largest)


def wide_softmax_parameters(beta: float, scale: float, where: str) -> tuple[int, int]:
    """Return (multiplier, left_shift) of TensorFlow Lite's int16 softmax: -10..0 becomes -65535..0."""
    real = float(np.float32(scale)) * float(np.float32(beta)) / (10.0 / 65535.0)
    if not (math.isfinite(real) and real > 0):
        raise QuantizationError(f"{where}: softmax over an input of scale {scale:.3g} is beyond its integer arithmetic")
    return quantize_multiplier(real)


def lookup_table(function: Callable[[np.ndarray], np.ndarray], source: Buffer, output: Buffer) -> np.ndarray:
    """Return the int8 table (rows, 256) of a function of the real value, in float64, rounded half to even.

    Codes outside its domain give 0, as near as the output has it. `function` takes shape (1, 256) and returns (rows, 256), one row
    for all channels or one a channel.
    """
    real = source.scale * (np.arange(-128, 128, dtype=np.float64) - source.zero_point)
    values = function(real[None, :])
    return nearest_codes(np.where(np.isnan(values), 0.0, values), output)


def nearest_codes(real: np.ndarray, output: Buffer) -> np.ndarray:
    """Return the codes nearest to real numbers, in float64, ties to even."""
    codes = np.rint(np.asarray(real, np.float64) / output.scale) + output.zero_point
    return np.clip(codes, *CODE_RANGES[output.dtype]).astype(output.dtype)
