"""Random small programs for the contract that every engine passes: hypothesis draws the geometry, a drawn seed the numbers.

`programs(dtype)` gives whole networks with branches, of dtype 'mixed' too; `single(kind, dtype)` a program with one step of one
kind. `inputs_for` gives samples. Shapes include one pixel, 1 and 3 channels, widths below any tile and channels that fill no
vector."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from edgebn import functions
from edgebn import program as p
from edgebn.functions import CELL_STATES, CELLS, GATES, STATE_FUNCTIONS
from edgebn.passes.integer import int16_tables
from edgebn.session import Session

CHANNELS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 40, 48, 64, 65])
SIDES = st.integers(1, 9)
# Clips before and after the batch norm, bounds of the codes, double rounding.
EPILOGUE_CHOICES = (
    ((-np.inf, np.inf), (0.0, np.inf), (-1.0, 2.0)),
    ((-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0)),
    ((-128, 127), (-128, 127), (-20, 127), (-50, 60)),
    (False, True),
)
FUNCTIONS = tuple(functions.FUNCTIONS)
STAIRS = ("ceil", "floor", "round")
POSITIVE = ("log", "power", "reciprocal", "rsqrt", "sqrt")  # which are drawn behind a softplus: elsewhere they are infinite or NaN


@dataclass
class Maker:
    """Grows a program step by step; every `step_*` method draws one step in `dtype` and returns its output's name."""

    draw: object
    dtype: str
    rng: np.random.Generator
    buffers: dict[str, p.Buffer] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    steps: list[p.Step] = field(default_factory=list)
    states: list[p.State] = field(default_factory=list)

    @property
    def coded(self):
        return self.dtype in p.CODE_RANGES

    @property
    def int8(self):
        return self.dtype == "int8"

    @property
    def wide(self):
        return self.dtype == "int16"

    @property
    def levels(self):
        """How many codes stand where int8 has one."""
        return 256 if self.wide else 1

    @property
    def codes(self):
        """The least and the greatest code."""
        return p.CODE_RANGES[self.dtype]

    def integer(self, low, high):
        return self.draw(st.integers(low, high))

    def buffer(self, shape, like=None, scale=None, zero_point=None):
        """Add a buffer; `like` names one whose scale and zero point it takes."""
        name = f"v{len(self.buffers)}"
        if like is not None:
            scale, zero_point = self.buffers[like].scale, self.buffers[like].zero_point
        elif self.coded and scale is None:
            scale, zero_point = float(np.float32(self.rng.uniform(0.01, 0.1) / self.levels)), int(self.rng.integers(-128, 128))
        zero_point = 0 if self.wide else zero_point
        self.buffers[name] = p.Buffer(name, tuple(shape), self.dtype, 1.0 if scale is None else scale, zero_point or 0)
        return name

    def constant(self, shape, like=None):
        name = self.buffer(shape, like)
        self.constants[name] = self.numbers(shape)
        return name

    def numbers(self, shape):
        if self.dtype == "int32":
            largest = self.draw(st.sampled_from([3, 100, 2**31 - 1]))
            return self.rng.integers(-largest, largest + 1, shape).astype(np.int32)
        if self.coded:
            return self.rng.integers(self.codes[0], self.codes[1] + 1, shape).astype(self.dtype)
        return self.rng.standard_normal(shape).astype(np.float32)

    def finish_step(self, step):
        self.steps.append(step)
        return step.output

    def shape(self, name):
        return self.buffers[name].shape

    def epilogue(self, channels, terms, output, style=None):
        """Return an epilogue for sums of `terms` products: both roundings, signed multipliers, clips on either side."""
        rng = self.rng
        pre, post, bounds, double = style or self.draw(st.tuples(*map(st.sampled_from, EPILOGUE_CHOICES)))
        if not self.coded:
            arrays = [rng.standard_normal(channels).astype(np.float32) for _ in range(3)]
            return p.FloatEpilogue(*arrays, pre=pre, post=post)
        if self.wide:
            return self.wide_epilogue(channels, terms, style or (pre, post, bounds, double))
        spread = 73.0 * 73.0 * np.sqrt(terms)
        real = rng.uniform(5.0, 90.0, channels) / spread
        qmin, qmax = bounds
        acc_bias = rng.integers(-int(spread) - 1, int(spread) + 2, channels)
        zero_point = self.buffers[output].zero_point
        wide = np.full(channels, 2**31 - 1)
        lo, hi = (
            (-wide - 1, wide) if pre[0] == -np.inf else (acc_bias * 0, wide) if pre[1] == np.inf else (-wide // 4096, wide // 4096)
        )
        if double:  # rounding: m in [2**30, 2**31), the bias inside u
            mantissa, exponent = np.frexp(real)
            m = np.minimum(np.rint(mantissa * 2.0**31).astype(np.int64), 2**31 - 1)
            e = np.maximum(-exponent, 1)
            s, r, neg = 31 + e, 2**30 + (np.int64(1) << (30 + e).astype(np.int64)), True
        else:
            s = rng.integers(20, 45, channels)
            m = np.rint(real * rng.choice([-1, 1], channels) * 2.0**s).clip(-(2**31), 2**31 - 1).astype(np.int64)
            r, neg = np.rint(rng.uniform(-100, 100, channels) * 2.0**s).astype(np.int64), False
        i32 = [np.asarray(v, np.int64).clip(-(2**31), 2**31 - 1).astype(np.int32) for v in (acc_bias, lo, hi, m)]
        return p.IntEpilogue(*i32, np.asarray(r, np.int64), np.asarray(s, np.uint8), neg, zero_point, qmin, qmax)

    def wide_epilogue(self, channels, terms, style):
        """The same for int16 codes: multipliers of 15 bits and one rounding, or of 31 bits and two."""
        rng, (pre, _, bounds, double) = self.rng, style
        spread = 18700.0 * 73.0 * np.sqrt(terms)
        real = rng.uniform(1000.0, 25000.0, channels) / spread
        acc_bias = rng.integers(-int(spread) - 1, int(spread) + 2, channels)
        end = np.full(channels, 2**62)
        lo, hi = (-end, end) if pre[0] == -np.inf else (acc_bias * 0, end) if pre[1] == np.inf else (-end // 2**40, end // 2**40)
        bits = 31 if double and terms <= 256 else 15
        mantissa, exponent = np.frexp(real)
        m = np.minimum(np.rint(mantissa * 2.0**bits).astype(np.int64), 2**bits - 1) * (
            1 if double else rng.choice([-1, 1], channels)
        )
        s = bits - exponent
        r = np.int64(1) << (s - 1).astype(np.int64)
        if bits == 31:
            r = r + 2**30
        elif not double:
            r = r + np.rint(rng.uniform(-9000, 9000, channels) * 2.0**s).astype(np.int64)
        qmin, qmax = (
            self.codes[0] if bounds[0] == -128 else 256 * bounds[0],
            self.codes[1] if bounds[1] == 127 else 256 * bounds[1],
        )
        wide = [np.asarray(v, np.int64) for v in (acc_bias, lo, hi)]
        return p.IntEpilogue(*wide, m.astype(np.int32), r, s.astype(np.uint8), bits == 31, 0, qmin, qmax)

    def window(self, shape, *, function=None, count_padding=None):
        function = function or self.draw(st.sampled_from(["max", "average"]))
        kernel, strides, dilations, padding = self.geometry(shape, largest=3)
        # A window that only padding reaches has no maximum.
        padding = tuple(min(pad, (k - 1) * d) for pad, k, d in zip(padding, kernel * 2, dilations * 2, strict=True))
        if count_padding is None:
            count_padding = self.draw(st.booleans())
        clipped = tuple(self.integer(0, pad) for pad in padding[2:]) if count_padding else (0, 0)
        return p.Window(function, kernel, strides, dilations, padding, count_padding, clipped, **self.ties(function))

    def ties(self, function):
        if not self.coded or function != "average":
            return {}
        return self.draw(st.sampled_from([{}, {"ties_to_even": True}, {"ties_to_odd": True}]))

    def geometry(self, shape, largest=4):
        """Return kernel, strides, dilations and padding that fit `shape`, asymmetric paddings and big strides included."""
        kernel, strides, dilations, before, after = [], [], [], [], []
        for size in shape[:2]:
            k, d = self.integer(1, largest), self.draw(st.sampled_from([1, 1, 1, 2, 3]))
            a, b = self.integer(0, min(k - 1, 2)), self.integer(0, min(k - 1, 2))
            d = d if size + a + b >= d * (k - 1) + 1 else 1
            k = min(k, size + a + b)
            kernel.append(k)
            dilations.append(d)
            strides.append(self.draw(st.sampled_from([1, 1, 2, 3, 7])))
            before.append(a)
            after.append(b)
        return tuple(kernel), tuple(strides), tuple(dilations), (*before, *after)

    def weight(self, shape):
        if self.coded:
            return self.rng.integers(-127, 128, shape).astype(np.int8)
        return (self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    def step_convolution(self, x):
        height, width, channels = self.shape(x)
        style = self.draw(st.sampled_from(["standard", "pointwise", "depthwise", "grouped", "dense", "square"]))
        kernel, strides, dilations, padding = self.geometry((height, width))
        groups = 1
        if style == "pointwise":
            kernel, dilations, padding = (1, 1), (1, 1), (0, 0, 0, 0)
        elif style == "dense":
            kernel, strides, dilations, padding = (height, width), (1, 1), (1, 1), (0, 0, 0, 0)
        elif style == "square" and min(height, width) > 1:
            kernel, dilations, padding = (3, 3), (1, 1), (1, 1, 1, 1)
            strides = self.draw(st.sampled_from([(1, 1), (2, 2)]))
        if style == "depthwise":
            groups = channels
            if min(height, width) > 2 and self.draw(st.booleans()):
                kernel, dilations, padding = (3, 3), (1, 1), self.draw(st.sampled_from([(1, 1, 1, 1), (0, 0, 1, 1)]))
                strides = self.draw(st.sampled_from([(1, 1), (2, 2)]))
            outputs = channels * self.integer(1, 2)
        elif style == "grouped":
            groups = next(g for g in (4, 3, 2, 1) if channels % g == 0)
            outputs = groups * self.integer(1, 9)
        else:
            outputs = self.draw(CHANNELS)
        weight = self.weight((outputs, *kernel, channels // groups))
        name = f"conv{len(self.steps)}"
        bare = p.Convolution(name, (x,), "", weight, None, strides, dilations, padding, groups)
        shape = p.unpooled_shape(bare, (height, width, channels))
        pool = None
        if self.draw(st.integers(0, 3)) == 0:
            pool = self.window(shape)
            shape = pooled_shape(pool, shape)
        y = self.buffer(shape)
        epilogue = self.epilogue(outputs, weight[0].size, y)
        return self.finish_step(p.Convolution(name, (x,), y, weight, epilogue, strides, dilations, padding, groups, pool))

    def step_transposed(self, x):
        height, width, channels = self.shape(x)
        groups = next(g for g in (3, 2, 1) if channels % g == 0) if self.draw(st.booleans()) else 1
        kernel = (self.integer(1, 4), self.integer(1, 4))
        strides = (self.integer(1, 3), self.integer(1, 3))
        dilations = (self.integer(1, 2), self.integer(1, 2))
        extra = tuple(self.integer(0, stride - 1) for stride in strides)
        full = [
            (size - 1) * s + d * (k - 1) + 1 + e
            for size, s, d, k, e in zip((height, width), strides, dilations, kernel, extra, strict=True)
        ]
        before = [self.integer(0, min(2, size - 1)) for size in full]
        after = [self.integer(0, min(2, size - a - 1)) for size, a in zip(full, before, strict=True)]
        outputs = groups * self.integer(1, 6)
        weight = self.weight((outputs, *kernel, channels // groups))
        y = self.buffer((full[0] - before[0] - after[0], full[1] - before[1] - after[1], outputs))
        epilogue = self.epilogue(outputs, weight[0].size, y)
        name = f"transposed{len(self.steps)}"
        return self.finish_step(
            p.TransposedConvolution(name, (x,), y, weight, epilogue, strides, dilations, (*before, *after), extra, groups)
        )

    def step_wide(self, x):
        """A convolution of either kind whose weights need int16, in few channels or in all."""
        y = self.step_convolution(x) if self.draw(st.booleans()) else self.step_transposed(x)
        step = self.steps[-1]
        if getattr(step, "pool", None) is not None:
            return y
        weight = step.weight.astype(np.int16)
        chosen = self.rng.random(weight.shape) < self.draw(st.sampled_from([0.02, 0.9]))
        weight[chosen] = self.rng.integers(-p.WIDEST_WEIGHT, p.WIDEST_WEIGHT + 1, weight.shape)[chosen]
        self.steps[-1] = replace(step, weight=weight)
        return y

    def step_affine(self, x):
        y = self.buffer(self.shape(x))
        epilogue = self.epilogue(self.shape(x)[2], 1, y)
        if self.coded:  # the accumulator is a code, not a sum of products
            s = self.rng.integers(8, 30, len(epilogue.m)).astype(np.uint8)
            m = np.rint(self.rng.uniform(-2, 2, len(s)) * 2.0**s).astype(np.int32)
            half = np.int64(1) << (s - 1).astype(np.int64)
            bias = (self.levels * self.rng.integers(-60, 60, len(s))).astype(epilogue.acc_bias.dtype)
            epilogue = p.IntEpilogue(
                bias, epilogue.lo, epilogue.hi, m, half, s, False, epilogue.zero_point, epilogue.qmin, epilogue.qmax
            )
        return self.finish_step(p.Affine(f"affine{len(self.steps)}", (x,), y, epilogue))

    def other_operand(self, x):
        """Return x's partner in a binary step: itself, a value of its shape, or a constant that broadcasts."""
        same = [name for name, buffer in self.buffers.items() if buffer.shape == self.shape(x) and buffer.dtype == self.dtype]
        if self.draw(st.booleans()):
            return self.draw(st.sampled_from(same))
        return self.constant(tuple(1 if self.draw(st.booleans()) else size for size in self.shape(x)))

    def clip(self):
        return self.draw(st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0)]))

    def step_add(self, x):
        pair = (x, self.other_operand(x))
        pair = pair if self.draw(st.booleans()) else pair[::-1]
        y = self.buffer(self.shape(x))
        arithmetic = self.int_add(y) if self.coded else None
        post = (-np.inf, np.inf) if self.coded else self.clip()
        return self.finish_step(p.Add(f"add{len(self.steps)}", pair, y, post, arithmetic))

    def int_add(self, y):
        zero_point = self.buffers[y].zero_point
        if self.draw(st.booleans()):
            m = tuple(int(v) for v in self.rng.integers(2**30, 2**31, 3))
            e = (self.integer(0, 3), self.integer(0, 3), self.integer(17, 20))
            if self.wide:
                e = (*e[:2], self.integer(11, 14))
            return p.IntAdd("double", m, e, 0, 0, zero_point, *self.codes)
        s = self.integer(8, 20)
        m = tuple(int(v) for v in np.rint(self.rng.uniform(-1.5, 1.5, 2) * 2.0**s))
        return p.IntAdd("single", m, (), 1 << (s - 1), s, zero_point, -100 * self.levels, self.codes[1])

    def step_multiply(self, x):
        pair = (x, self.other_operand(x))
        y = self.buffer(self.shape(x))
        name = f"multiply{len(self.steps)}"
        if not self.coded:
            return self.finish_step(p.Multiply(name, pair, y, self.clip()))
        s = self.integer(33, 40)
        m = int(self.rng.integers(2**25, 2**26 * 2 ** (s - 33)))
        neg = self.draw(st.booleans())
        if self.wide:
            m = int(self.rng.integers(2 ** (s - 16), 2 ** (s - 13)))
        ends = self.codes[0], 120 * self.levels
        arithmetic = p.IntMultiply(m, (1 << (s - 1)) + (1 << 30), s, neg, self.buffers[y].zero_point, *ends)
        return self.finish_step(p.Multiply(name, pair, y, arithmetic=arithmetic))

    def step_matmul(self, x):
        """By a constant stack of matrices, or one for all."""
        stacks, rows, depth = self.shape(x)
        columns = self.integer(1, 9)
        pair = (x, self.constant((self.draw(st.sampled_from([1, stacks])), depth, columns)))
        y = self.buffer((stacks, rows, columns))
        name = f"matmul{len(self.steps)}"
        if not self.coded:
            return self.finish_step(p.MatMul(name, pair, y))
        if self.wide:
            s = self.integer(28, 34)
            arithmetic = p.IntMultiply(int(self.rng.integers(1 << 14, 1 << 15)), 1 << (s - 1), s, False, 0, self.codes[0], 30000)
            return self.finish_step(p.MatMul(name, pair, y, arithmetic))
        s = self.integer(36, 44)
        m = int(self.rng.integers(2**25, 2**26 * 2 ** min(s - 36, 4)))
        arithmetic = p.IntMultiply(
            m, (1 << (s - 1)) + (1 << 30), s, self.draw(st.booleans()), self.buffers[y].zero_point, -128, 120
        )
        return self.finish_step(p.MatMul(name, pair, y, arithmetic))

    def above_zero(self, x):
        """Return a positive value."""
        return self.finish_step(p.Elementwise(f"above{len(self.steps)}", (x,), self.buffer(self.shape(x)), "softplus"))

    def step_binary(self, x):
        """A function of two values; in int8 with scales in any proportion."""
        pair = (x, self.other_operand(x))
        pair = pair if self.draw(st.booleans()) else pair[::-1]
        y = self.buffer(self.shape(x))
        name = f"binary{len(self.steps)}"
        missing = functions.OF_REALS if self.coded else ("power",) if pair[0] in self.constants else ()
        function = self.draw(st.sampled_from([name for name in functions.BINARY if name not in missing]))
        if function == "divide" and pair[1] not in self.constants:  # by zeros of a clip nothing could be compared
            pair = (pair[0], self.above_zero(pair[1]))
        if function == "power":
            pair = (self.above_zero(pair[0]), pair[1])
        if not self.coded:
            return self.finish_step(p.Binary(name, pair, y, function, self.clip()))
        shift, largest = (15, 15) if self.wide else (20, 20)
        if function == "squared_difference":
            shift, largest = (0, 17) if self.wide else (7, 15)
        m = tuple(int(v) for v in self.rng.integers(2**30, 2**31, 3))
        e = (self.integer(0, 3), self.integer(0, 3), self.integer(largest - 4, largest))
        arithmetic = p.IntBinary(shift, m, e, self.buffers[y].zero_point, self.codes[0], 120 * self.levels)
        return self.finish_step(p.Binary(name, pair, y, function, arithmetic=arithmetic))

    def step_pool(self, x):
        shape = self.shape(x)
        name = f"pool{len(self.steps)}"
        kind = self.draw(st.sampled_from(["window", "global"] + (["rescaled"] if self.coded else [])))
        if kind == "window":
            window = self.window(shape)
            return self.finish_step(p.Pool(name, (x,), self.buffer(pooled_shape(window, shape), like=x), window))
        function = "average" if kind == "rescaled" else self.draw(st.sampled_from(["max", "average"]))
        window = p.Window(function, shape[:2], (1, 1))
        if kind == "global":
            window = replace(window, **self.ties(function))
            return self.finish_step(p.Pool(name, (x,), self.buffer((1, 1, shape[2]), like=x), window))
        if self.draw(st.booleans()):
            window = self.window(shape, function="average")
        y = self.buffer(pooled_shape(window, shape))
        positions = window.kernel[0] * window.kernel[1]
        return self.finish_step(
            p.Pool(name, (x,), y, window, self.average_epilogue(y, positions, by_count=self.draw(st.booleans())))
        )

    def average_epilogue(self, y, positions, *, by_count):
        """One entry, or one for every number of positions that may count."""
        counts = np.arange(1, positions + 1) if by_count else np.full(1, positions)
        s, entries = 24, len(counts)
        m = np.rint(2.0**s * self.rng.uniform(0.5, 1.5, entries) / counts).astype(np.int32)
        kind = np.int64 if self.wide else np.int32
        bias = (self.rng.integers(-20, 20, entries) * counts * self.levels).astype(kind)
        limits = (np.full(entries, -(2**31), kind), np.full(entries, 2**31 - 1, kind))
        half, shifts = np.full(entries, 1 << (s - 1), np.int64), np.full(entries, s, np.uint8)
        return p.IntEpilogue(
            bias, *limits, m, half, shifts, False, self.buffers[y].zero_point, -100 * self.levels, 110 * self.levels
        )

    def step_lookup(self, x):
        tables = self.draw(st.sampled_from([1, self.shape(x)[2]]))
        table = self.rng.integers(-128, 128, (tables, 256)).astype(np.int8)
        return self.finish_step(p.Lookup(f"lookup{len(self.steps)}", (x,), self.buffer(self.shape(x)), table))

    def step_elementwise(self, x):
        fresh = len(self.steps) < 2  # behind float32 arithmetic, two engines may round to two whole numbers
        function = self.draw(st.sampled_from([name for name in FUNCTIONS if fresh or name not in STAIRS]))
        if function in POSITIVE:
            y = self.buffer(self.shape(x))
            x = self.finish_step(p.Elementwise(f"function{len(self.steps)}", (x,), y, "softplus"))
        slope = None
        if function == "prelu":
            slope = self.rng.standard_normal([1 if self.draw(st.booleans()) else size for size in self.shape(x)]).astype(np.float32)
        low, high = (-0.5, 1.5) if function == "clip" else (-np.inf, np.inf)
        y = self.buffer(self.shape(x))
        return self.finish_step(p.Elementwise(f"function{len(self.steps)}", (x,), y, function, low, high, 0.2, 0.5, slope))

    def step_softmax(self, x):
        name = f"softmax{len(self.steps)}"
        if not self.coded:
            return self.finish_step(p.Softmax(name, (x,), self.buffer(self.shape(x)), self.draw(st.sampled_from([1.0, 0.5]))))
        if self.wide:
            mantissa, shift = np.frexp(self.rng.uniform(0.01, 4))
            y = self.buffer(self.shape(x), scale=2.0**-15)
            return self.finish_step(p.Softmax(name, (x,), y, 1.0, int(mantissa * 2**31), int(shift), tables=int16_tables.SOFTMAX))
        y = self.buffer(self.shape(x), scale=1 / 256, zero_point=-128)
        mantissa, shift = np.frexp(self.rng.uniform(0.01, 0.3) * 2.0**26)
        diff_min = -int(np.floor(31.0 * 2.0**26 / 2.0**shift))
        return self.finish_step(p.Softmax(name, (x,), y, 1.0, int(mantissa * 2**31), int(shift), diff_min))

    def rescaling(self, ratio, ends):
        """Return the arithmetic that multiplies by a ratio, in either rounding; `ends` are zero point and clip."""
        s = self.integer(16, 22)
        m, neg = int(np.rint(ratio * 2.0**s)), self.draw(st.booleans())
        return p.IntMultiply(m, 1 << (s - 1), s, neg, *ends)

    def rescaled(self, x, dtype):
        """Codes to codes of a type, perhaps with another ratio below zero."""
        before = self.levels
        self.dtype = dtype
        y = self.buffer(self.shape(x))
        ends = (self.buffers[y].zero_point, self.codes[0], 100 * self.levels)
        ratio = self.rng.uniform(0.2, 2) * self.levels / before
        below = self.rescaling(self.rng.uniform(-0.5, 0.5) * ratio, ends) if self.draw(st.booleans()) else None
        return self.finish_step(p.Rescale(f"rescale{len(self.steps)}", (x,), y, self.rescaling(ratio, ends), below))

    def step_rescale(self, x):
        return self.rescaled(x, self.dtype)

    def step_curve(self, x):
        function = self.draw(st.sampled_from(["table", "sigmoid", "tanh", "rsqrt"]))
        y = self.buffer(self.shape(x))
        name = f"curve{len(self.steps)}"
        if function == "table":
            return self.finish_step(p.Curve(name, (x,), y, function, self.rng.integers(-32768, 32768, 513).astype(np.int16)))
        if function == "rsqrt":
            scaling = int(self.rng.integers(1 << 30, (1 << 31) - 1)), self.integer(-10, 31)
            return self.finish_step(p.Curve(name, (x,), y, function, np.zeros(1, np.int16), *scaling))
        shift = self.integer(0, 14)
        multiplier = int(self.rng.integers(1 << shift, 1 << min(shift + 4, 15)))
        return self.finish_step(p.Curve(name, (x,), y, function, int16_tables.SIGMOID, multiplier, shift))

    def step_unit_norm(self, x):
        y = self.buffer(self.shape(x), scale=1 / 128, zero_point=0)
        return self.finish_step(p.UnitNorm(f"unit_norm{len(self.steps)}", (x,), y, self.draw(st.sampled_from([0, 7]))))

    def step_normalization(self, x):
        channels = self.shape(x)[2]
        groups = self.draw(st.sampled_from([0, *(count for count in range(1, channels + 1) if channels % count == 0)]))
        gamma, beta = self.rng.standard_normal((2, channels)).astype(np.float32)
        y, centred = self.buffer(self.shape(x)), self.draw(st.booleans())
        return self.finish_step(p.Normalization(f"norm{len(self.steps)}", (x,), y, groups, gamma, beta, 0.125, centred))

    def step_recurrence(self, x):
        """Cells of few units; weights so small that no state grows from moment to moment."""
        cell, units, moments = self.draw(st.sampled_from([*CELLS])), self.integer(1, 19), self.integer(1, 5)
        gates = CELLS[cell] * units
        sequences = self.draw(st.sampled_from([1, 1, 2, 5]))
        inputs = [self.part(x, (sequences, moments, gates))]
        inputs += [self.part(x, (sequences, 1, units)) for _ in range(self.integer(0, CELL_STATES[cell]))]
        weight = (self.rng.uniform(-0.5, 0.5, (gates, units)) / np.sqrt(units)).astype(np.float32)
        reset_after = cell != "gru" or self.draw(st.booleans())
        bias = self.rng.standard_normal(units).astype(np.float32) * (cell == "gru" and reset_after)
        gives_cell = cell == "lstm" and self.draw(st.booleans())
        settings = {
            "gate": self.draw(st.sampled_from([*GATES])),
            "function": self.draw(st.sampled_from([*STATE_FUNCTIONS])),
            "limit": self.draw(st.sampled_from([np.inf, 0.5])),
            "backwards": self.draw(st.booleans()),
        }
        y = self.buffer((sequences, moments + gives_cell, units))
        name = f"recurrence{len(self.steps)}"
        return self.finish_step(
            p.Recurrence(name, tuple(inputs), y, cell, weight, bias, reset_after, gives_cell=gives_cell, **settings)
        )

    def step_detections(self, x):
        """Boxes whose codes and scores are parts of what there is; scores are few numbers, so that there are equal ones."""
        count = self.integer(1, 9)
        classes, background = self.integer(1, 4), self.integer(0, 1)
        codes = self.part(x, (1, count, self.integer(4, 5)))
        rounded = self.buffer((1, count, classes + background))
        self.steps.append(p.Elementwise(f"rounded{len(self.steps)}", (self.part(x, self.shape(rounded)),), rounded, "round"))
        anchors = self.rng.uniform(0.1, 1.0, (count, 4)).astype(np.float32)
        scales = self.draw(st.sampled_from([(10.0, 10.0, 5.0, 5.0), (1.0, 2.0, 4.0, 8.0)]))
        most, each, per_class, regular = self.integer(1, 12), self.integer(1, 5), self.integer(1, 4), self.draw(st.booleans())
        settings = (
            classes,
            most,
            each,
            per_class,
            regular,
            self.draw(st.sampled_from([-9.0, 0.0, 1.0])),
            self.draw(st.sampled_from([0.2, 0.6, 1.0])),
        )
        y = self.buffer((1, 1, 6 * most * each + 1))
        return self.finish_step(
            p.DetectionPostProcess(f"detections{len(self.steps)}", (codes, rounded), y, anchors, scales, *settings)
        )

    def step_suppression(self, x):
        """Which boxes stay; scores are few numbers, so that there are equal ones."""
        count, classes, most = self.integer(1, 9), self.integer(1, 4), self.integer(1, 12)
        boxes = self.part(x, (1, count, 4))
        rounded = self.buffer((1, classes, count))
        self.steps.append(p.Elementwise(f"rounded{len(self.steps)}", (self.part(x, self.shape(rounded)),), rounded, "round"))
        settings = (
            most,
            self.draw(st.booleans()),
            self.draw(st.sampled_from([-np.inf, -1.0, 0.0])),
            self.draw(st.sampled_from([0.0, 0.2, 0.6, 1.0])),
        )
        self.dtype = "int32"
        y = self.buffer((1, classes * min(most, count), 3))
        return self.finish_step(p.NonMaxSuppression(f"suppression{len(self.steps)}", (boxes, rounded), y, *settings))

    def part(self, x, shape):
        """Return a value of another shape that repeats the elements of `x`."""
        flat = self.buffer((1, int(np.prod(self.shape(x))), 1))
        self.steps.append(p.Reshape(f"flat{len(self.steps)}", (x,), flat))
        size = int(np.prod(shape))
        picked = (np.arange(size)[:, None] * 7 % self.shape(flat)[1]).repeat(2, 1).astype(np.int32)
        repeated = self.buffer((1, size, 1))
        zeros = np.zeros((1, 2), np.int32), np.zeros((1, 2), np.float32), np.zeros((size, 2), np.float32)
        self.steps.append(p.Resize(f"picked{len(self.steps)}", (flat,), repeated, "nearest", zeros[0], picked, *zeros[1:]))
        y = self.buffer(shape)
        self.steps.append(p.Reshape(f"part{len(self.steps)}", (repeated,), y))
        return y

    def step_concat(self, x):
        axis = self.integer(0, 2)
        shape = list(self.shape(x))
        other = list(shape)
        other[axis] = self.integer(1, 5)
        parts = [x, self.constant(tuple(other), x if self.wide else None), x][: self.integer(2, 3)]
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        if not self.int8:
            y = self.buffer(shape, like=x if self.wide else None)
            return self.finish_step(p.Concat(f"concat{len(self.steps)}", tuple(parts), y, axis))
        like = self.draw(st.sampled_from([None, *parts]))  # whose codes need no table
        tables = tuple(None if part == like else self.rng.integers(-128, 128, 256).astype(np.int8) for part in parts)
        return self.finish_step(p.Concat(f"concat{len(self.steps)}", tuple(parts), self.buffer(shape, like=like), axis, tables))

    def step_pad(self, x):
        pads = tuple((self.integer(0, 2), self.integer(0, 2)) for _ in range(3))
        shape = [size + before + after for size, (before, after) in zip(self.shape(x), pads, strict=True)]
        value = float(self.integer(*self.codes)) if self.coded else 0.0 if self.dtype == "int32" else 0.75
        return self.finish_step(p.Pad(f"pad{len(self.steps)}", (x,), self.buffer(shape, like=x), pads, value))

    def step_crop(self, x):
        starts = tuple(self.integer(0, size - 1) for size in self.shape(x))
        shape = [self.integer(1, size - start) for size, start in zip(self.shape(x), starts, strict=True)]
        return self.finish_step(p.Crop(f"crop{len(self.steps)}", (x,), self.buffer(shape, like=x), starts))

    def step_resize(self, x):
        height, width, channels = self.shape(x)
        size = tuple(self.draw(st.sampled_from([into, self.integer(1, 2 * into)])) for into in (height, width))
        function = "nearest" if self.dtype == "int32" else self.draw(st.sampled_from(["nearest", "bilinear"]))
        offset = self.draw(st.sampled_from([None, 0, 128, "half", "even"])) if self.int8 and function == "bilinear" else None
        even = self.integer(-128, 127) if offset == "even" else None
        half, offset = (True if offset == "half" else None), (None if isinstance(offset, str) else offset)
        indices, weights = [], []
        for out, into in zip(size, (height, width), strict=True):
            table = self.rng.integers(0, into, (out, 2))
            if out == into and self.draw(st.booleans()):
                table[:, 0] = np.arange(out)  # all rows or columns as they are, which C is told without a table
            indices.append(table.astype(np.int32))
            share = self.rng.uniform(0, 1, out)
            if self.dtype == "int32" or (self.coded and offset is None and not half):
                whole = np.rint(share * 1024).astype(np.int32)
                weights.append(np.stack([1024 - whole, whole], 1))
            else:
                weights.append(np.stack([1 - share, share], 1).astype(np.float32))
        y = self.buffer((*size, channels), like=x)
        return self.finish_step(p.Resize(f"resize{len(self.steps)}", (x,), y, function, *indices, *weights, offset, half, even))

    def step_transpose(self, x):
        permutation = tuple(self.draw(st.permutations(range(3))))
        y = self.buffer([self.shape(x)[axis] for axis in permutation], like=x)
        return self.finish_step(p.Transpose(f"transpose{len(self.steps)}", (x,), y, permutation))

    def step_reshape(self, x):
        height, width, channels = self.shape(x)
        shape = self.draw(
            st.sampled_from([(1, 1, height * width * channels), (height * width, 1, channels), (width, height, channels)])
        )
        return self.finish_step(p.Reshape(f"reshape{len(self.steps)}", (x,), self.buffer(shape, like=x)))

    def step_quantize(self, x):
        self.dtype = self.draw(st.sampled_from(["int8", "int8", "int16"]))
        return self.finish_step(p.Quantize(f"quantize{len(self.steps)}", (x,), self.buffer(self.shape(x))))

    def step_dequantize(self, x):
        self.dtype = "float32"
        return self.finish_step(p.Dequantize(f"dequantize{len(self.steps)}", (x,), self.buffer(self.shape(x))))

    def step_cast(self, x):
        self.dtype = "float32" if self.dtype == "int32" else "int32"
        return self.finish_step(p.Cast(f"cast{len(self.steps)}", (x,), self.buffer(self.shape(x))))

    def step_compare(self, x):
        """Float32 numbers with others, of which some are the same."""
        pair = (x, self.other_operand(x))
        pair = pair if self.draw(st.booleans()) else pair[::-1]
        self.dtype = "int32"
        function = self.draw(st.sampled_from(list(functions.COMPARISONS)))
        return self.finish_step(p.IntegerBinary(f"compare{len(self.steps)}", pair, self.buffer(self.shape(x)), function))

    def step_integer_binary(self, x):
        pair = (x, self.other_operand(x))
        pair = pair if self.draw(st.booleans()) else pair[::-1]
        function = self.draw(st.sampled_from(list(functions.INTEGER_BINARY)))
        return self.finish_step(p.IntegerBinary(f"integer{len(self.steps)}", pair, self.buffer(self.shape(x)), function))

    def step_arg_extreme(self, x):
        axis = self.integer(0, 2)
        count = self.integer(1, self.shape(x)[axis]) if self.draw(st.booleans()) else None
        shape = tuple(count or 1 if i == axis else size for i, size in enumerate(self.shape(x)))
        self.dtype = "int32"
        settings = self.draw(st.sampled_from(["max", "min"])), axis, self.draw(st.booleans()), count
        return self.finish_step(p.ArgExtreme(f"arg{len(self.steps)}", (x,), self.buffer(shape), *settings))

    def step_select(self, x):
        """Between a value and a constant, by a constant mask or, of int32, by the value itself."""
        shape, dtype = self.shape(x), self.dtype
        other = self.buffer(tuple(1 if self.draw(st.booleans()) else size for size in shape), like=x)
        self.constants[other] = self.numbers(self.shape(other))
        mask = x
        if dtype != "int32" or self.draw(st.booleans()):
            self.dtype = "int32"
            mask = self.buffer(tuple(1 if self.draw(st.booleans()) else size for size in shape))
            self.constants[mask] = self.rng.integers(0, 2, self.shape(mask)).astype(np.int32)
        self.dtype = dtype
        values = self.draw(st.permutations([x, other]))
        return self.finish_step(p.Select(f"select{len(self.steps)}", (mask, *values), self.buffer(shape, like=x)))

    def step_gather_nd(self, x):
        """By indices that the network computes, some of them outside."""
        height, width, channels = self.shape(x)
        axis = self.integer(0, 2)
        flat = [(height, width, channels), (1, height * width, channels), (1, 1, height * width * channels)][axis]
        if flat != self.shape(x):
            x = self.finish_step(p.Reshape(f"flat{len(self.steps)}", (x,), self.buffer(flat, like=x)))
        indexed, first, count = self.integer(1, 3 - axis), self.integer(0, 1), self.integer(1, 9)
        dtype, self.dtype = self.dtype, "int32"
        parts = []
        for sizes in ([1] * first + list(flat[axis : axis + indexed]), [1]):
            name = self.buffer((1, count, len(sizes)))
            reach = 2 * np.array(sizes)
            self.constants[name] = self.rng.integers(-reach, reach, self.shape(name)).astype(np.int32)
            parts.append(name)
        indices = self.buffer(self.shape(parts[0]))
        self.finish_step(p.IntegerBinary(f"indices{len(self.steps)}", tuple(parts), indices, "add"))
        self.dtype = dtype
        y = self.buffer((1, count, int(np.prod(flat[axis + indexed :]))), like=x)
        return self.finish_step(p.GatherND(f"gather{len(self.steps)}", (x, indices), y, axis, first))

    def step_leave(self, x):
        """Codes to float32, or to codes of the other type."""
        if self.draw(st.booleans()):
            return self.step_dequantize(x)
        return self.rescaled(x, "int16" if self.int8 else "int8")

    def state(self, shape, like=None):
        """Add a state of a shape whose next value is yet to be said; returns its buffer."""
        name = self.buffer(shape, like)
        self.states.append(p.State(name, "", self.numbers(shape)))
        return name

    def leave(self, reads, writes):
        """Say which value a state takes over."""
        self.states = [replace(one, writes=writes) if one.reads == reads else one for one in self.states]

    def program(self, inputs, outputs):
        shapes = {name: self.buffers[name].shape for name in (*inputs, *outputs)}
        steps = tuple(self.steps)
        states = tuple(self.states)
        return p.Program(
            "random", "random.test", "test", False, self.buffers, self.constants, steps, inputs, outputs, shapes, states=states
        )


_BOTH = "convolution transposed affine add multiply binary matmul pool softmax concat pad crop resize transpose reshape"
_INTEGERS = ("arg_extreme", "select", "gather_nd")  # what makes int32, or reads it
PURE = {
    "float32": (*_BOTH.split(), "elementwise", "normalization", "recurrence"),
    "int8": (*_BOTH.split(), "lookup", "wide", "rescale", "unit_norm"),
    "int16": (*_BOTH.split(), "curve", "rescale"),
}
KINDS = {
    "float32": (*PURE["float32"], *_INTEGERS, "compare", "detections", "suppression"),
    "int8": (*PURE["int8"], *_INTEGERS),
    "int16": (*PURE["int16"], "select", "gather_nd"),
    "int32": (*_INTEGERS, "integer_binary", "concat", "pad", "crop", "resize", "transpose", "reshape"),
}
CONVERSIONS = {"float32": "quantize", "int8": "leave", "int16": "leave", "int32": "cast"}
STEEP = ("detections", "suppression")  # behind float32 arithmetic, two engines may choose two boxes: drawn in front of it only


def pooled_shape(window, shape):
    """Return the shape of `shape` after `window`."""
    sizes = []
    for axis in range(2):
        span = window.dilations[axis] * (window.kernel[axis] - 1) + 1
        sizes.append((shape[axis] + window.padding[axis] + window.padding[axis + 2] - span) // window.strides[axis] + 1)
    return (*sizes, shape[2])


@st.composite
def single(draw, kind, dtype):
    """Programs of one step, and of those that make what it reads: int32 is cast from the input."""
    maker = Maker(draw, "float32" if dtype == "int32" else dtype, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    given = x = maker.buffer((draw(SIDES), draw(SIDES), draw(CHANNELS)))
    if dtype == "int32":
        x = maker.step_cast(x)
    y = getattr(maker, f"step_{kind}")(x)
    return maker.program((given,), (y,))


@st.composite
def programs(draw, dtype, largest=6):
    """Networks of up to `largest` steps, each on one of the last values, the last value and perhaps an earlier one as outputs."""
    is_mixed = dtype == "mixed"
    first = draw(st.sampled_from(["float32", "int8"])) if is_mixed else dtype
    maker = Maker(draw, first, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    x = maker.buffer((draw(SIDES), draw(SIDES), draw(CHANNELS)))
    values = [x]
    for _ in range(draw(st.integers(2, largest))):
        source = draw(st.sampled_from(values[-2:]))
        if np.prod(maker.shape(source)) > 20_000:
            break
        maker.dtype = maker.buffers[source].dtype
        # Convolutions come up most: they are what the networks are made of.
        kinds = [kind for kind in (KINDS if is_mixed else PURE)[maker.dtype] if not maker.steps or kind not in STEEP]
        kind = draw(st.sampled_from([*kinds, *(["convolution"] * 4 if "convolution" in kinds else [])]))
        if is_mixed and draw(st.integers(0, 2)) == 0:
            kind = CONVERSIONS[maker.dtype]
        values.append(getattr(maker, f"step_{kind}")(source))
    if is_mixed and not any(isinstance(step, p.Quantize | p.Dequantize | p.Rescale) for step in maker.steps):
        maker.dtype = maker.buffers[values[-1]].dtype
        values.append(getattr(maker, f"step_{CONVERSIONS[maker.dtype]}")(values[-1]))
    made = [name for name in values if name != x]
    outputs = (made[-1],) if draw(st.booleans()) or len(made) < 2 else (made[-1], made[0])
    return maker.program((x,), outputs)


@st.composite
def stateful(draw, dtype):
    """Networks of one type with two or three states.

    A window over the rows of the last runs, a value that a drawn step reads in the next run, and perhaps one that only moves on.
    """
    maker = Maker(draw, dtype, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    x = maker.buffer((draw(st.integers(1, 4)), draw(SIDES), draw(CHANNELS)))
    height, width, channels = maker.shape(x)
    rows = maker.state((draw(st.integers(1, 5)), width, channels), like=x)
    kept = maker.shape(rows)[0]
    window = maker.buffer((kept + height, width, channels), like=x)
    tables = (None, None) if maker.int8 else ()
    maker.finish_step(p.Concat("window", (rows, x), window, 0, tables))
    after = maker.buffer((kept, width, channels), like=x)
    maker.finish_step(p.Crop("after", (window,), after, (height, 0, 0)))
    maker.leave(rows, after)
    made = [getattr(maker, f"step_{draw(st.sampled_from([*PURE[dtype], 'convolution']))}")(window)]
    delayed = maker.state(maker.shape(made[0]), like=made[0])
    maker.leave(delayed, made[0])
    made.append(getattr(maker, f"step_{draw(st.sampled_from([*PURE[dtype], 'convolution']))}")(delayed))
    if draw(st.booleans()):  # two runs late
        late, moved = maker.state(maker.shape(delayed), like=delayed), maker.buffer(maker.shape(delayed), like=delayed)
        maker.finish_step(p.Reshape("moved", (delayed,), moved))
        maker.leave(late, moved)
        made.append(getattr(maker, f"step_{draw(st.sampled_from(PURE[dtype]))}")(late))
    return maker.program((x,), tuple(made[1:]) if draw(st.booleans()) else (*made[1:], window))


def inputs_for(program, samples, seed=0):
    """Return a batch for a program with one input: real values, or codes for int8, shape (samples, H, W, C)."""
    rng = np.random.default_rng(seed)
    shape = (samples, *program.shapes[program.inputs[0]])
    if p.takes_codes(program):
        dtype = program.buffers[program.inputs[0]].dtype
        least, most = p.CODE_RANGES[dtype]
        return rng.integers(least, most + 1, shape).astype(dtype)
    return rng.standard_normal(shape).astype(np.float32)


def outputs_of(program, given):
    """Return what a session makes of a batch, always by name."""
    result = Session(program).run(given)
    return result if isinstance(result, dict) else {program.outputs[0]: result}
