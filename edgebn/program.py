"""The program: what a device does. Fused steps, epilogues and logical buffers; plain data, no layout of any engine.

Every buffer holds one sample as (height, width, channels): a vector is (1, 1, n), a sequence (1, length, channels).
`reference.py` is the specification of every step; the formulas here say which numbers a step carries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgebn.quick_dataclass import dataclass, field

if TYPE_CHECKING:  # what few programs have
    from edgebn.adaptation import Adaptation, Observation
    from edgebn.preparation.data import Preparation

Hwc = tuple[int, int, int]
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]  # top, left, bottom, right

# Scale and zero point of what the integer softmax gives.
SOFTMAX_CODES = (1.0 / 256.0, -128)
# Scale and zero point of codes divided by their norm.
UNIT_CODES = (1.0 / 128.0, 0)
# Channels whose squares 31 bits can sum.
UNIT_CHANNELS = 33025

# Magnitude of an int16 weight: a uint8 code less a uint8 zero point.
WIDEST_WEIGHT = 255
# Products of codes less zero points that 32 bits hold the sum of: 255 * 255 each.
MATMUL_DEPTH = 1 << 15

# Bytes of one element of a buffer.
ELEMENT_BYTES = {"float32": 4, "int8": 1, "int16": 2, "int32": 4}
# Types whose values are codes, with the least and the greatest of them.
CODE_RANGES = {"int8": (-128, 127), "int16": (-32768, 32767)}

# In a field's metadata: a file that does not need the field says nothing of it.
OMITTED_WHEN_NONE = "omitted when None"
OMITTED_WHEN_EMPTY = "omitted when empty"


@dataclass(frozen=True)
class Buffer:
    """One value between steps.

    Attributes
    ----------
    name : str
    shape : (height, width, channels)
        Of one sample.
    dtype : {'float32', 'int8', 'int16', 'int32'}
        A step is typed by its buffers: all of one type, but for those that convert, compare, choose or index. int32 holds indices,
        whole numbers (a file's int64 too) and truth: 1 and 0.
    scale, zero_point : float, int
        real = scale * (code - zero_point); used where the values are codes. `scale` is the exact double of the file's or
        calibration's number; the zero point of int16 is 0.
    unsigned : bool or None
        True where the file has uint8 codes, which are these plus 128: callers may then give and take them so (`signed_codes`).
    """

    name: str
    shape: Hwc
    dtype: str = "float32"
    scale: float = 1.0
    zero_point: int = 0
    unsigned: bool | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})


@dataclass(frozen=True)
class Norm:
    """One per-channel affine map inside an epilogue: a batch norm, or a constant multiply and add.

    a = gamma / sqrt(variance + epsilon), d = beta - mean * a (docs/integer-contract.md). Arrays: (channels,) float32.

    Attributes
    ----------
    layer : str
        The layer's name in the file.
    is_batch_norm : bool
        False for a constant multiply or add written in this form (mean 0, variance 1, epsilon 0).
    """

    layer: str
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float
    is_batch_norm: bool = True


@dataclass(frozen=True)
class FloatEpilogue:
    """y = clip(clip(acc + bias, pre) * a + d, post), float32, per output channel.

    Attributes
    ----------
    bias, a, d : ndarray of float32, shape (channels,)
        a and d are `norms` composed (1 and 0 where there is none).
    pre, post : (low, high)
        Clips before and after the batch norm; infinite where there is none.
    norms : tuple of Norm
        In the order of application, all between the two clips.
    """

    bias: np.ndarray
    a: np.ndarray
    d: np.ndarray
    pre: tuple[float, float] = (-np.inf, np.inf)
    post: tuple[float, float] = (-np.inf, np.inf)
    norms: tuple[Norm, ...] = ()


@dataclass(frozen=True)
class IntEpilogue:
    """The integer contract (docs/integer-contract.md), per output channel.

    acc  = acc_bias[c] + sum(w * q)                       int32; padding reads the input's zero point
    u    = clip(acc, lo[c], hi[c])
    y    = (int64(u) * m[c] + r[c] - (2**31 if neg and u < 0 else 0)) >> s[c]
    code = clip(zero_point + y, qmin, qmax)

    Between int16 buffers acc is int64, and so are acc_bias, lo and hi. TensorFlow Lite Micro then has multipliers of 15 bits and
    rounds once: m = (q + 2**15) >> 16, at most 2**15 - 1, s = 15 - shift, r = 2**(s - 1), the bias inside acc (a bias of 32 bits
    goes with its double rounding, as in int8).

    Attributes
    ----------
    acc_bias, lo, hi, m : ndarray of int32, shape (channels,)
    r : ndarray of int64, shape (channels,)
    s : ndarray of uint8, shape (channels,), each 1..62
    neg : bool
        Whether NEG is 2**31 (the double rounding of TensorFlow Lite Micro, where it matters) or 0.
    zero_point, qmin, qmax : int
        Of the output; qmin and qmax carry the activation after the batch norm.
    bias : ndarray of float64 or None, shape (channels,)
        The real bias, kept so that the batch norm can be folded again. None for files quantised elsewhere.
    pre, post : (low, high)
        The real clips, kept for the same purpose.
    norms : tuple of Norm
        Batch norms folded in here.
    """

    acc_bias: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    m: np.ndarray
    r: np.ndarray
    s: np.ndarray
    neg: bool
    zero_point: int
    qmin: int
    qmax: int
    bias: np.ndarray | None = None
    pre: tuple[float, float] = (-np.inf, np.inf)
    post: tuple[float, float] = (-np.inf, np.inf)
    norms: tuple[Norm, ...] = ()


@dataclass(frozen=True)
class Window:
    """A pooling window.

    Attributes
    ----------
    function : {'max', 'average'}
    padding : (top, left, bottom, right)
        Padding never wins a maximum and is not counted in an average, unless `count_padding`.
    clipped_end : (rows, columns)
        How much of the bottom and right padding is never counted (ceil mode).
    ties_to_even : bool
        How an average of codes that keeps its scale rounds ties: away from code 0 as TensorFlow Lite Micro does, or to the even
        code as onnxruntime's QLinearAveragePool does.
    ties_to_odd : bool
        To the odd code: the even number of steps from an odd zero point, which ONNX's QuantizeLinear adds after it rounds.
    """

    function: str
    kernel: Pair
    strides: Pair
    dilations: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    count_padding: bool = False
    clipped_end: Pair = (0, 0)
    ties_to_even: bool = False
    ties_to_odd: bool = field(default=False, metadata={OMITTED_WHEN_EMPTY: True})

    @property
    def ties(self) -> int:
        """Where ties go, as the kernels and the C take it: 0 away from code 0, 1 to the even code, 2 to the odd one."""
        return 2 * self.ties_to_odd or int(self.ties_to_even)


@dataclass(frozen=True)
class Step:
    """One fused operation.

    Attributes
    ----------
    name : str
        Name of the layer that gives the step its identity; unique in the program.
    inputs : tuple of str
        Buffer names (some may be in `Program.constants`).
    output : str
        Buffer name.
    """

    name: str
    inputs: tuple[str, ...]
    output: str

    @property
    def kind(self) -> str:
        """The class name."""
        return type(self).__name__


@dataclass(frozen=True)
class Convolution(Step):
    """Convolution, depthwise convolution or dense layer, with its epilogue and, where fused, its pool.

    A dense layer over a flattened (H, W, C) value is a convolution whose kernel is the whole value; over the last axis it is
    a 1 x 1 convolution. Where buffers hold codes the epilogue is an IntEpilogue, padding is the input's zero point, and pooling
    works on the codes that the epilogue gives. The weights of int16 buffers are int8.

    Attributes
    ----------
    weight : ndarray, shape (O, kh, kw, I / groups), float32 or int8
        Unfolded: batch norm never touches it. int16 where uint8 weights less their zero point do not fit int8 (|w| <= 255); such a
        step has no pool.
    weight_scale : ndarray of float64, shape (O,), or None
        Of int8 weights (symmetric).
    epilogue : FloatEpilogue or IntEpilogue
    pool : Window or None
    """

    weight: np.ndarray
    epilogue: FloatEpilogue | IntEpilogue
    strides: Pair = (1, 1)
    dilations: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    groups: int = 1
    pool: Window | None = None
    weight_scale: np.ndarray | None = None


@dataclass(frozen=True)
class TransposedConvolution(Step):
    """Transposed convolution with its epilogue: see `layers.TransposedConvolution` for the geometry."""

    weight: np.ndarray  # (O, kh, kw, I / groups); int16 as in `Convolution`
    epilogue: FloatEpilogue | IntEpilogue
    strides: Pair = (1, 1)
    dilations: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    output_padding: Pair = (0, 0)
    groups: int = 1
    weight_scale: np.ndarray | None = None


@dataclass(frozen=True)
class Affine(Step):
    """A batch norm that no convolution could take: acc is the input itself (float32), or acc = acc_bias + code (int8)."""

    epilogue: FloatEpilogue | IntEpilogue


@dataclass(frozen=True)
class IntAdd:
    """Arithmetic of an `Add` of codes; a and b are codes less their zero points.

    rounding 'single':  y = (a * m[0] + b * m[1] + r) >> s
    rounding 'double':  TensorFlow Lite Micro's, with x(v, m, e) = (v * m + 2**30) >> 31 for e == 0 and
                        (v * m + 2**30 + 2**(30+e) - (2**31 if v < 0 else 0)) >> (31+e) for e >= 1:
                        y = x(x(a << 20, m[0], e[0]) + x(b << 20, m[1], e[1]), m[2], e[2]); 15 in place of 20 for int16
    code = clip(zero_point + y, qmin, qmax)
    """

    rounding: str
    m: tuple[int, ...]
    e: tuple[int, ...]  # right shifts of 'double'; empty for 'single'
    r: int
    s: int
    zero_point: int
    qmin: int
    qmax: int


@dataclass(frozen=True)
class Add(Step):
    """Sum of two buffers (broadcast over (H, W, C)), then a clip; `arithmetic` is set for codes."""

    post: tuple[float, float] = (-np.inf, np.inf)
    arithmetic: IntAdd | None = None


@dataclass(frozen=True)
class IntMultiply:
    """Arithmetic of a `Multiply` of codes: u = a * b, codes less their zero points.

    y = (u * m + r - (2**31 if neg and u < 0 else 0)) >> s, code = clip(zero_point + y, qmin, qmax)
    """

    m: int
    r: int
    s: int
    neg: bool
    zero_point: int
    qmin: int
    qmax: int


@dataclass(frozen=True)
class Multiply(Step):
    """Product of two buffers (broadcast over (H, W, C)), then a clip; `arithmetic` is set for codes."""

    post: tuple[float, float] = (-np.inf, np.inf)
    arithmetic: IntMultiply | None = None


@dataclass(frozen=True)
class MatMul(Step):
    """Products of two stacks of matrices: out[s, i, j] = sum over k of a[s, i, k] * b[s, k, j]; a stack of 1 repeats.

    Of codes, `arithmetic` given: its u is the sum of the products of codes less their zero points, of at most `MATMUL_DEPTH` terms;
    of int16 codes in 64 bits.
    """

    arithmetic: IntMultiply | None = None


@dataclass(frozen=True)
class IntBinary:
    """Arithmetic of a `Binary` of codes; a and b are codes less their zero points, x is the rescaling of `IntAdd`.

    y = x(f(x(a << shift, m[0], e[0]), x(b << shift, m[1], e[1])), m[2], e[2]), code = clip(zero_point + y, qmin, qmax)

    shift is 7 for 'squared_difference', or 0 for int16, whose squares then fit 32 bits, and for the others 20, or 15 of int16, as
    in TensorFlow Lite Micro. Where both inputs and the output have one scale, 'maximum' and 'minimum' so are those of the codes.
    """

    shift: int
    m: tuple[int, int, int]
    e: tuple[int, int, int]
    zero_point: int
    qmin: int
    qmax: int


@dataclass(frozen=True)
class Binary(Step):
    """A function of two buffers (broadcast over (H, W, C)), then a clip; names as in `layers.BINARY_FUNCTIONS`.

    `arithmetic` is set for int8, which has all of them but 'divide'.
    """

    function: str
    post: tuple[float, float] = (-np.inf, np.inf)
    arithmetic: IntBinary | None = None


@dataclass(frozen=True)
class Pool(Step):
    """Pooling of its own. A global pool is a window as large as the input.

    int8 maximum: of the codes; input and output share scale and zero point.
    int8 average, `epilogue` None: the sum of the codes over their count, ties as `Window.ties_to_even` says; same scale.
    int8 average, `epilogue` given: acc = acc_bias + sum of the codes. Its arrays have shape (1,), or, where windows count different
    numbers of positions, (positions of the kernel,): entry n - 1 is for windows in which n positions count.
    """

    window: Window
    epilogue: IntEpilogue | None = None


@dataclass(frozen=True)
class Lookup(Step):
    """int8 elementwise function as a table: code = table[c or 0, input code + 128]; table int8 (1 or channels, 256)."""

    table: np.ndarray


@dataclass(frozen=True)
class Rescale(Step):
    """Codes to codes of another scale or type: `arithmetic` with u the code less its zero point, `below` in its place where u < 0.

    Requantisation, with a clip or without, and the leaky ReLU of int16.
    """

    arithmetic: IntMultiply
    below: IntMultiply | None = None


@dataclass(frozen=True)
class Curve(Step):
    """int16 elementwise function, by a table between whose entries lines run.

    'table', table int16 (513,), the function at every 128th code from -32768 on:
        base = table[256 + (code >> 7)], next the entry behind it, code = base + (((next - base) * (code & 127) + 64) >> 7)
    'sigmoid' and 'tanh' are TensorFlow Lite Micro's, table uint16 (256,), with v = (code * multiplier + half of 2**shift) >> shift
    (nothing is added for a shift of 0), a = |v|, b the bits 9 or 8, h = a >> b, t = a & (2**b - 1):
        sigmoid: w = 32767 << 10 where h >= 255, else (table[h] << 9) + t * (table[h + 1] - table[h]);
                 code = (w + 512 if v >= 0 else 2**25 - w + 511) >> 10
        tanh:    w = 65535 << 8 where h >= 255, else (table[h] << 8) + t * (table[h + 1] - table[h]);
                 code = (w - 2**23 + 128 if v >= 0 else -w + 2**23 + 127) >> 8
    'rsqrt' is too; table int16 (1,), which is not read, q and s those of `UnitNorm` with t the code, x the rescaling of `IntAdd`:
        code = min(x(round(2**(20 - s) * q / 2**31), multiplier, shift), 32767), 32767 where the code is not above 0;
        a shift below 0 goes left, ahead of the multiplication
    """

    function: str
    table: np.ndarray
    multiplier: int = 1
    shift: int = 0


@dataclass(frozen=True)
class Elementwise(Step):
    """float32 elementwise function; names and formulas as in `layers.ACTIVATIONS`; slope float32 (H|1, W|1, C|1) for 'prelu'."""

    function: str
    low: float = -np.inf
    high: float = np.inf
    alpha: float = 0.0
    beta: float = 0.0
    slope: np.ndarray | None = None


@dataclass(frozen=True)
class Softmax(Step):
    """Softmax over the channels; for int8 TensorFlow Lite Micro's integer algorithm, output scale 1/256, zero point -128.

    Attributes
    ----------
    beta : float
    multiplier, left_shift, diff_min : int
        Of int8: real multiplier beta * input scale * 2**26 as multiplier / 2**31 * 2**left_shift; codes further than diff_min below
        the maximum count as zero. Of int16: real multiplier beta * input scale * 65535 / 10 likewise; diff_min is 0.
    tables : ndarray of int16, shape (2, 513), or None
        Of int16, whose output has the scale 2**-15: e**x from -10 to 0 and 1 / (1 + x) from 0 to 1, both in units of 2**-15 and
        read as a `Curve`'s table is. With d the code less the greatest of the pixel, rescaled as `IntAdd` has it (by a right shift
        where left_shift < 0, else d << left_shift before it):
            power = exp[clip(d + 32767, -32768, 32767)], n the bits of the sum of the powers, above it h = 32 - n leading zeros
            x = ((sum << (h - 1)) + 2**13) >> 14, reciprocal = inverse[clip(x - 3 * 2**15, -32768, 32767)]
            code = clip((power * reciprocal + 2**(30 - h)) >> (31 - h), 0, 32767)
    """

    beta: float = 1.0
    multiplier: int = 0
    left_shift: int = 0
    diff_min: int = 0
    tables: np.ndarray | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})


@dataclass(frozen=True)
class Normalization(Step):
    """float32 norm by the sample's own statistics: y = (x - mean) / sqrt(variance + epsilon) * gamma[c] + beta[c].

    Sums are accumulated in float64, the variance around the mean; without `centred` the mean is taken for zero (RMS norm).

    Attributes
    ----------
    groups : int
        0: statistics of each pixel, over its channels (layer norm). Else of the whole (H, W), apart in so many blocks of
        neighbouring channels: as many as there are channels for instance norm.
    gamma, beta : ndarray of float32, shape (C,)
    epsilon : float
    centred : bool
    """

    groups: int
    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float = 1e-5
    centred: bool = True


@dataclass(frozen=True)
class Recurrence(Step):
    """float32 recurrent cell that goes through moments one after the other, in every one of n sequences by itself.

    Inputs are the gates' own numbers (n, T, gates * units), then first state and first cell (n, 1, units), zeros where there are
    fewer; the output is the state after every moment (n, T, units), one more row behind it with the cell that came last where
    `gives_cell`. With x the gates' numbers of a moment, h and c the state and cell before, W the weights by gates, s the function
    `gate`, f `function`, * element by element:
        rnn: h' = f(x + W h)
        lstm: i, k, o = s(x + W h) of the first three gates, g = f(x + W h) of the last
            c' = clip(k * c + i * g, -limit, limit), h' = o * f(c')
        gru: z, r = s(x + W h) of the first two gates, n = f(x + r * (W h + bias)) or, unless reset_after, f(x + W (r * h))
            h' = (1 - z) * n + z * h
    'hard_sigmoid' is clip(slope * v + 0.5, 0, 1). The formulas are those of Hochreiter and Schmidhuber, Long short-term memory
    (1997), with forget gates (Gers et al., 2000), and of Cho et al., Learning phrase representations (2014).

    Attributes
    ----------
    cell : {'lstm', 'gru', 'rnn'}
    weight : ndarray of float32, shape (gates * units, units)
    bias : ndarray of float32, shape (units,)
        Zeros but in a GRU of `reset_after`.
    reset_after : bool
    gate : {'sigmoid', 'hard_sigmoid'}
    function : {'tanh', 'relu', 'sigmoid', 'identity'}
    slope, limit : float
    backwards : bool
        From the last moment to the first; rows stay in the order of the moments.
    gives_cell : bool
    """

    cell: str
    weight: np.ndarray
    bias: np.ndarray
    reset_after: bool = True
    gate: str = "sigmoid"
    function: str = "tanh"
    slope: float = 0.2
    limit: float = np.inf
    backwards: bool = False
    gives_cell: bool = False


@dataclass(frozen=True)
class UnitNorm(Step):
    """int8 codes divided by the root of the sum of their squares along the channels, TensorFlow Lite's; output scale 1/128.

    With d the codes less their zero point, t the sum of d * d, x(v, m, e) the rescaling of `IntAdd`, a left shift where e < 0:
        q = 2**31 - 1, s = 0                          where t <= 1
        t' = t * 4**(11 - s), 2**27 <= t' < 2**29      else, and below it is cut at every division by 4
        q = one, h = the half of t' // 2, rounded; one is 2**28, numbers of 3 integer bits:
            5 times: q = 8 * (round(1.5 * q) - round(h * 64 * round(round(q * q) * q)))
        q = round(q * root(1 / 2)); where s < 0: q = q << -s, s = 0
        code = clip(x(d << left_shift, q, s + left_shift - 7), -128, 127)

    Attributes
    ----------
    left_shift : int
        0, or 7 where the file's codes are uint8, which round a different number of times.
    """

    left_shift: int = 0


@dataclass(frozen=True)
class DetectionPostProcess(Step):
    """float32 boxes of an SSD detector, decoded and freed of overlaps as `TFLite_Detection_PostProcess` of LiteRT does it.

    Inputs are box codes (1, n, 4 or more) and scores (1, n, classes + background); the output is one row (1, 1, 6 * k + 1) with
    k = most * each: k boxes (top, left, bottom, right), k classes, k scores, and how many there are; what is left over is 0.

    In float64, rounded to float32 where a value has a name: middle = code / scale * side of the anchor + middle of the anchor,
    half = 0.5 * exp(code / scale) * side of the anchor; box = middle -+ half. Two boxes overlap by common / (area + area - common),
    0 where an area is not positive.

    Suppression takes the candidates (`score` at least) in the order of their scores, the lower index first among equals, and drops
    those that overlap a taken one by more than `overlap`. It is done once, with each box's best class, taking at most `most` boxes,
    of which the best `each` classes are told; or, if `regular`, for each class, taking at most `per_class` boxes; of all that were
    taken the best `most` stay, the lower class first among equals.

    Attributes
    ----------
    anchors : ndarray of float32, shape (n, 4)
        Middle (y, x), height and width.
    scales : (y, x, height, width)
    classes, most, each, per_class : int
    regular : bool
    score, overlap : float
    """

    anchors: np.ndarray
    scales: tuple[float, float, float, float]
    classes: int
    most: int
    each: int
    per_class: int
    regular: bool
    score: float
    overlap: float


@dataclass(frozen=True)
class NonMaxSuppression(Step):
    """Which float32 boxes stay, class by class, as ONNX's NonMaxSuppression of onnxruntime has it: int32 rows.

    Inputs are boxes (1, n, 4) and scores (1, classes, n); the output is (1, classes * min(most, n), 3): 0, the class and the place
    of a box that stays; classes in their order, the surest box first; -1 three times in the rows behind the last.

    Of each class the boxes are taken whose score is above `score` (all, where that is -inf), in the order of their scores, the
    lower index first among equals; dropped are those that overlap a taken one by more than `overlap`; `most` are taken at most. Two
    boxes overlap by common / (area + area - common), 0 where an area is not positive.

    Attributes
    ----------
    most : int
    centred : bool
        Whether boxes are middle (x, y), width and height, corners being middle -+ side / 2; else two opposite corners (y, x, y, x).
    score, overlap : float
    """

    most: int
    centred: bool
    score: float
    overlap: float


@dataclass(frozen=True)
class Concat(Step):
    """Concatenation along axis 0, 1 or 2 of (H, W, C).

    Attributes
    ----------
    tables : tuple of (ndarray of int8, shape (256,), or None)
        int8: how each input's codes become the output's (indexed by code + 128); None where they already agree. Empty for float32.
    """

    axis: int = 2
    tables: tuple[np.ndarray | None, ...] = ()


@dataclass(frozen=True)
class Pad(Step):
    """Constant padding: `pads` (before, after) for H, W, C; `value` is a real number for float32, a code for int8."""

    pads: tuple[Pair, Pair, Pair] = ((0, 0), (0, 0), (0, 0))
    value: float = 0.0


@dataclass(frozen=True)
class Crop(Step):
    """The part of the input that begins at `starts`; its shape is the output buffer's."""

    starts: Hwc = (0, 0, 0)


@dataclass(frozen=True)
class Resize(Step):
    """Spatial resampling with everything about coordinates already worked out; scale and zero point are unchanged.

    nearest:  out[y, x] = in[rows[y, 0], columns[x, 0]]
    bilinear, float32: the four neighbours rows[y, 0..1] and columns[x, 0..1] with the weights of the same indices
    bilinear, int8 or int16: the same with weights in 1/1024 (int32, each pair sums to 1024):
              v = sum of weight products * codes; code = (v + 2**19 - (1 if v < 0 else 0)) >> 20
              (half away from zero, as TensorFlow Lite Micro rounds; of int8 |v| <= 2**27, of int16 sums have 64 bits)
    bilinear, int8 with `even_from` z: the same v, code = z + (v - z * 2**20) / 2**20, halves to an even number of steps from the
              zero point z (as QuantizeLinear of ONNX rounds)
    bilinear, int8 with `truncation_offset` o: code = int(v) - o, v the sum of (column weight * row weight) * (code + o) over
              the upper left, upper right, lower left and lower right neighbour, in this order, every operation rounded to float32
              (`UpsampleBilinear` of onnxruntime on int8 and uint8 tensors)
    bilinear, int8 with `adds_half`: code = clip(int(v + 1/2), 0, 255) - 128, v the sum of (code + 128) * row weight * column
              weight over the upper left, lower left, upper right and lower right neighbour, every operation rounded to float32 in
              this order (TensorFlow Lite on uint8 tensors)

    Attributes
    ----------
    rows, columns : ndarray of int32, shape (output size, 2)
    row_weights, column_weights : ndarray, shape (output size, 2)
        float32 for float32 values, and with `truncation_offset` or `adds_half`; else int32.
    truncation_offset : int or None
        0 or 128, of bilinear int8 codes only.
    adds_half : bool or None
        True or None, of bilinear int8 codes only.
    even_from : int or None
        -128 to 127, of bilinear int8 codes only.
    """

    function: str
    rows: np.ndarray
    columns: np.ndarray
    row_weights: np.ndarray
    column_weights: np.ndarray
    truncation_offset: int | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})
    adds_half: bool | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})
    even_from: int | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})


@dataclass(frozen=True)
class Transpose(Step):
    """Axes of (H, W, C) in another order: output axis i is input axis permutation[i]."""

    permutation: tuple[int, int, int]


@dataclass(frozen=True)
class Reshape(Step):
    """The same elements in row-major (H, W, C) order under the output buffer's shape; engines may share the memory."""


@dataclass(frozen=True)
class Quantize(Step):
    """float32 to codes, by the output buffer's scale and zero point, every operation in float32; NaN becomes the least code.

    code = clip(rint_half_even(x / float32(scale)) + zero_point, -128, 127), or within -32768..32767 for int16
    """


@dataclass(frozen=True)
class Dequantize(Step):
    """Codes to float32, by the input buffer's scale and zero point: x = float32(scale) * (code - zero_point)."""


@dataclass(frozen=True)
class Cast(Step):
    """float32 to int32 or back.

    To int32 what stands behind the point is dropped, numbers beyond int32 become its nearest, and NaN 0. To float32 numbers are
    rounded to nearest, ties to even.
    """


@dataclass(frozen=True)
class IntegerBinary(Step):
    """A function of two buffers (broadcast over (H, W, C)) whose values are int32; names as in `functions.INTEGER_BINARY`.

    The inputs are int32 or, of a comparison (`functions.COMPARISONS`: 1 where it holds, else 0), both float32. What leaves int32
    is cut to its low 32 bits. 'floor_divide' and 'floor_mod' round down, and are 0 where the second value is.
    """

    function: str


@dataclass(frozen=True)
class ArgExtreme(Step):
    """int32: where along axis 0, 1 or 2 of (H, W, C), which is `count` long in the output, the largest or smallest values stand.

    The best first; of several that are equal the first first, or the last with `last`. NaN comes behind every number.

    Attributes
    ----------
    function : {'max', 'min'}
    axis : int
    last : bool
    count : int or None
        None is 1.
    """

    function: str
    axis: int
    last: bool = False
    count: int | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})


@dataclass(frozen=True)
class Select(Step):
    """Inputs (condition, a, b), broadcast over (H, W, C): a where the int32 condition is not 0, else b, all of one type."""


@dataclass(frozen=True)
class GatherND(Step):
    """Parts of a value by computed indices: inputs (values, indices), output (1, n, elements of a part).

    The int32 indices are (1, n, columns): columns `first`, `first` + 1, ... of row i index axes `axis`, `axis` + 1, ... of
    (H, W, C) for part i. Axes before these are 1 long; those behind them are the part. A negative index counts from its axis'
    end; what is outside even so is taken for the nearest that is not.

    Attributes
    ----------
    axis, first : int
    """

    axis: int
    first: int = 0


@dataclass(frozen=True)
class LayerRecord:
    """What became of one layer of the file, for `analyze`.

    Attributes
    ----------
    name, kind : str
    output_shape : tuple of int
        As the session sees it (NHWC, batch axis left out).
    parameters, macs : int
        Trained numbers, and multiply-accumulates of one inference.
    step : str
        The step that does its work; '' when it vanished.
    became : str
        In words: 'a step of its own', 'folded into conv1', 'kept: zero padding ...', 'vanished'.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    step: str
    became: str


@dataclass(frozen=True)
class InputScaling:
    """How stored numbers (pixels, say) become what the network takes: real = stored * scale + offset.

    Attributes
    ----------
    scale, offset : float
    integers_only : bool
        Whether stored real numbers are taken as they are: the scaling was given for integers, such as pixels.
    """

    scale: float
    offset: float = 0.0
    integers_only: bool = True


@dataclass(frozen=True)
class State:
    """A value that lives from run to run: what one sample leaves is what the next begins with.

    Attributes
    ----------
    reads : str
        The buffer that holds it during a run. No step makes it.
    writes : str
        The buffer, of the same shape and type, whose elements are the state after the run; codes are moved as they are.
    initial : ndarray, shape (H, W, C), in the buffers' dtype
        What the first run reads, and the first after a reset.
    """

    reads: str
    writes: str
    initial: np.ndarray


@dataclass(frozen=True)
class Program:
    """A network as a device runs it.

    Attributes
    ----------
    name, source, format : str
        The model's name, the file it came from and its format, for people.
    channels_first : bool
        Whether that file was NCHW; the program is NHWC.
    buffers : dict of str to Buffer
        Every value, constants included.
    constants : dict of str to ndarray
        Arrays of buffers that no step makes, shape (H, W, C), in the buffer's dtype.
    steps : tuple of Step
        In order of execution.
    inputs, outputs : tuple of str
        Buffer names.
    shapes : dict of str to tuple of int
        For inputs and outputs, the shape that users see, without the batch axis: (28, 28, 1), (10,), ...
    records : tuple of LayerRecord
    adaptation : Adaptation or None
        How it can adapt to what it sees; None where it cannot.
    channel_factors : dict of str to ndarray of float64, shape (channels,)
        By buffer, where equalisation made channels larger than in the network the program was quantised from: divide by them to
        compare the two. What the program computes does not depend on them.
    input_scaling : dict of str to InputScaling, or None
        By input, how the files that the command line reads are scaled where it is not told otherwise. `Session.run` takes real
        numbers as they are.
    states : tuple of State
        What lives from run to run; the samples of a batch are runs in their order.
    preparation : Preparation or None
        How pictures or sounds become the input, and outputs answers; see `edgebn.prepare`.
    """

    name: str
    source: str
    format: str
    channels_first: bool
    buffers: dict[str, Buffer]
    constants: dict[str, np.ndarray]
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]
    records: tuple[LayerRecord, ...] = field(default=())
    adaptation: Adaptation | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})
    channel_factors: dict[str, np.ndarray] = field(default_factory=dict)
    input_scaling: dict[str, InputScaling] | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})
    states: tuple[State, ...] = field(default=(), metadata={OMITTED_WHEN_EMPTY: True})
    preparation: Preparation | None = field(default=None, metadata={OMITTED_WHEN_NONE: True})

    @property
    def entering(self) -> tuple[str, ...]:
        """The buffers that hold a value when a run begins and that are not constant: inputs, then states."""
        return (*self.inputs, *(state.reads for state in self.states))

    @property
    def leaving(self) -> tuple[str, ...]:
        """The buffers whose values are wanted when a run ends: outputs, then states."""
        return (*self.outputs, *(state.writes for state in self.states))

    @property
    def dtype(self) -> str:
        """The type of every buffer that is not constant, int32 left out: 'float32', 'int8' or 'int16'; 'mixed' of several.

        For people; what a step does follows from its own buffers (`step_dtype`).
        """
        found = {buffer.dtype for name, buffer in self.buffers.items() if name not in self.constants} - {"int32"}
        return found.pop() if len(found) == 1 else "mixed"

    @property
    def executor_dtype(self) -> str:
        """Which executor runs it: that of its type, or 'mixed', which has all kernels, where anything is int32."""
        return "mixed" if any(buffer.dtype == "int32" for buffer in self.buffers.values()) else self.dtype

    def __repr__(self) -> str:
        """Return one line for people: the arrays would fill pages."""
        ends = (", ".join(f"{name} {self.shapes[name]}" for name in names) for names in (self.inputs, self.outputs))
        adaptable = ", adaptable" if self.adaptation is not None else ""
        return f"<Program {self.name} from {self.source}: {self.dtype}, {len(self.steps)} steps, {' -> '.join(ends)}{adaptable}>"


def has_floats(program: Program) -> bool:
    """Whether some value of a run is float32."""
    return any(buffer.dtype == "float32" for name, buffer in program.buffers.items() if name not in program.constants)


def step_dtype(step: Step, program: Program) -> str:
    """Return what a step computes in: its output's type, which its inputs share unless it converts."""
    return program.buffers[step.output].dtype


def signed_codes(buffer: Buffer, array: np.ndarray) -> np.ndarray:
    """Return a caller's uint8 codes as int8 codes where the file has uint8 there; any other array as it is."""
    return flipped(array) if buffer.unsigned and array.dtype == np.uint8 else array


def flipped(codes: np.ndarray) -> np.ndarray:
    """Return int8 codes as uint8 ones, 128 above them, or the other way round."""
    return (codes.view(np.uint8) ^ np.uint8(0x80)).view(np.int8 if codes.dtype == np.uint8 else np.uint8)


def takes_codes(program: Program) -> bool:
    """Whether every input holds codes, so that a caller may pass these; such outputs then leave as codes too."""
    return all(holds_codes(program.buffers[name]) for name in program.inputs)


def holds_codes(buffer: Buffer) -> bool:
    """Whether a buffer's values are codes, which its scale and zero point give a meaning."""
    return buffer.dtype in CODE_RANGES


def result_dtype(program: Program, name: str, *, as_codes: bool) -> str:
    """Return the type in which an output reaches the caller; `as_codes` says whether all inputs came as codes."""
    dtype = program.buffers[name].dtype
    return dtype if as_codes or dtype == "int32" else "float32"


def adapted_dtype(program: Program) -> str:
    """Return the type of the steps that adapt, which is the same of all of them; of a program that has some."""
    assert program.adaptation is not None
    name = program.adaptation.layers[0].observation.step
    return next(step_dtype(step, program) for step in program.steps if step.name == name)


def exact_buffers(program: Program) -> frozenset[str]:
    """Return the buffers whose bytes are the same from every engine.

    Codes are, and float32 numbers that were only converted from codes or moved. What float32 arithmetic makes agrees within a
    tolerance, so codes made from it may differ too, by one where a number was between two.
    """

    def gives_exact(step: Step, exact: set[str]) -> bool:
        is_float = step_dtype(step, program) == "float32"
        moves = isinstance(step, Dequantize | Concat | Pad | Crop | Transpose | Reshape | Cast | Select | GatherND)
        moves = moves or (isinstance(step, Resize) and step.function == "nearest")
        moves = moves or (isinstance(step, Pool) and step.window.function == "max")
        return exact.issuperset(step.inputs) and (moves or not is_float)

    return _followed(program, gives_exact)


def close_buffers(program: Program) -> frozenset[str]:
    """Return the buffers in which engines agree within float32's tolerance: those behind no codes that are not exact."""
    exact = exact_buffers(program)

    def gives_close(step: Step, close: set[str]) -> bool:
        return close.issuperset(step.inputs) and (step.output in exact or step_dtype(step, program) == "float32")

    return _followed(program, gives_close)


def _followed(program: Program, keeps: Callable[[Step, set[str]], bool]) -> frozenset[str]:
    """Return the buffers with a property that inputs and constants have and that steps keep, as `keeps` says, in every run.

    A state that loses it does not have it from the second run on.
    """
    lost: set[str] = set()
    while True:
        found = {*program.entering, *program.constants} - lost
        for step in program.steps:
            if keeps(step, found):
                found.add(step.output)
        losing = {state.reads for state in program.states if state.writes not in found} - lost
        if not losing:
            return frozenset(found)
        lost |= losing


def hwc(shape: tuple[int, ...]) -> Hwc:
    """Return a sample's shape as (height, width, channels); axes before the last two are merged into the height."""
    if len(shape) <= 3:
        return (1,) * (3 - len(shape)) + tuple(shape)  # type: ignore[return-value]  # three long by construction
    height = 1
    for size in shape[:-2]:
        height *= size
    return (height, shape[-2], shape[-1])


def unpooled_shape(step: Convolution, input_shape: Hwc) -> Hwc:
    """Return the shape of a convolution's rows before its fused pool (the output's shape where there is none)."""
    top, left, bottom, right = step.padding
    out_channels, kh, kw, _ = step.weight.shape
    height = (input_shape[0] + top + bottom - step.dilations[0] * (kh - 1) - 1) // step.strides[0] + 1
    width = (input_shape[1] + left + right - step.dilations[1] * (kw - 1) - 1) // step.strides[1] + 1
    return height, width, out_channels


def epilogue_shape(step: Step, program: Program) -> Hwc:
    """Return the shape of what a step's epilogue receives: its output's, before a fused pool."""
    if isinstance(step, Convolution):
        return unpooled_shape(step, program.buffers[step.inputs[0]].shape)
    return program.buffers[step.output].shape


def observed_rows(step: Step, observation: Observation, rows: int) -> np.ndarray:
    """Return which of the `rows` that a step's epilogue receives are observed, int64 (n,).

    Rows that lie between or behind the windows of a fused pool are computed by no engine, and observed by none.
    """
    reached = np.ones(rows, bool)
    pool = step.pool if isinstance(step, Convolution) else None
    if pool is not None:
        reached[:] = False
        span = pool.dilations[0] * (pool.kernel[0] - 1) + 1
        for begin in range(-pool.padding[0], rows + pool.padding[2] - span + 1, pool.strides[0]):
            reached[max(begin, 0) : max(begin + span, 0)] = True
    chosen = np.arange(observation.first_row, rows, observation.row_step)
    return chosen[reached[chosen]]
