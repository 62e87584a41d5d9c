"""The tables of TensorFlow Lite's int16 functions. Knows arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgebn.errors import QuantizationError
from edgebn.passes.integer.multipliers import quantize_multiplier

ROOT_BITS = 20  # of the fraction of a reciprocal root before it is rescaled
LEFT_BITS = 30 - ROOT_BITS  # by which it can be shifted within int32
UNIT = 2.0**-15  # the scale of what sigmoid, tanh and softmax give

# sigmoid(i / 24) in units of 2**-16, in places one above the nearest, so that lines between entries are nearer to the function.
# fmt: off
SIGMOID = np.array((
    *(32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432, 42064, 42688),
    *(43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409),
    *(51865, 52311, 52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433),
    *(57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110),
    *(61279, 61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186),
    *(63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308),
    *(64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900),
    *(64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208),
    *(65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367),
    *(65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433, 65438, 65442, 65445, 65449),
    *(65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491),
    *(65493, 65495, 65497, 65498, 65500, 65501, 65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513),
    *(65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524),
    *(65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530),
    *(65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533, 65533, 65533),
    *(65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535),
), np.uint16)
# fmt: on


def interpolation_table(function: Callable[[np.ndarray], np.ndarray], low: float, high: float, unit: float = 32768.0) -> np.ndarray:
    """Return 513 entries of a function from low to high in steps of 1 / unit, int16: TensorFlow Lite's `LUTPopulate`, in float32.

    Entries give up half of the error that a line to the next one makes in the middle.
    """
    low32, high32, steps = np.float32(low), np.float32(high), np.float32(unit)
    step = (high32 - low32) / np.float32(512)
    starts = (low32 + np.arange(512, dtype=np.float32) * step).astype(np.float32)
    value, middle = function(starts), function(starts + step / np.float32(2))
    following = function((low32 + np.arange(1, 513, dtype=np.float32) * step).astype(np.float32))
    at = _rounded(value * steps)
    between = _rounded((following * steps + at) / np.float32(2))
    entries = at - _rounded((between - _rounded(middle * steps)) / np.float32(2))
    last = _rounded(function(np.array([high32])) * steps)
    return np.clip(np.concatenate([entries, last]), -32768, 32767).astype(np.int16)


def code_table(function: Callable[[np.ndarray], np.ndarray], scale: float, output_scale: float) -> np.ndarray:
    """Return the table of a function of int16 codes; it takes float64 and is rounded to float32, in which LiteRT computes it."""
    span = np.float32(output_scale) * np.float32(32767) - np.float32(output_scale) * np.float32(-32768)
    low, high = (float(np.float32(scale) * np.float32(end)) for end in (-32768, 32767))
    unit = float(np.float32(65536) / span)
    return interpolation_table(lambda x: function(x.astype(np.float64)).astype(np.float32), low, high, unit)


def _rounded(x: np.ndarray) -> np.ndarray:
    """Return the nearest whole numbers, ties away from zero."""
    return (np.sign(x) * np.floor(np.abs(x) + np.float32(0.5))).astype(np.float32)


def curve_input(scale: float, where: str) -> tuple[int, int]:
    """Return (multiplier, shift) that bring int16 codes of a scale into units of 1 / (3 * 4096), for sigmoid and tanh."""
    exponent = math.log2(scale)
    rounded = round(exponent)
    if abs(exponent - rounded) < 1e-3 and rounded == -12:
        return 3, 0
    multiplier, shift = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        shift += 1
        multiplier *= 2.0
    if not 1.0 <= multiplier < 32768.0:
        raise QuantizationError(f"{where}: its input's scale {scale:.3g} is beyond the arithmetic of int16 functions")
    return int(multiplier), shift


def reciprocal_root(scale: float, output_scale: float, where: str) -> tuple[int, int]:
    """Return (multiplier, right shift; below 0 a left one, ahead) from 1 / sqrt(code) of `ROOT_BITS` fraction bits to codes."""
    multiplier, shift = quantize_multiplier(1.0 / (math.sqrt(scale) * output_scale))
    if not -LEFT_BITS <= ROOT_BITS - shift <= 31:
        raise QuantizationError(
            f"{where}: its scales {scale:.3g} and {output_scale:.3g} are beyond the arithmetic of int16 functions"
        )
    return multiplier, ROOT_BITS - shift


# e**x from -10 to 0 and 1 / (1 + x) from 0 to 1.
SOFTMAX = np.stack([interpolation_table(np.exp, -10.0, 0.0), interpolation_table(lambda x: 1 / (1 + x), 0.0, 1.0)])
