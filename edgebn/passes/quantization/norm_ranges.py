"""Ranges without any data: what batch norms say about the values of a network, carried forward through every step.

Behind a batch norm, channel c is close to a normal distribution of mean beta_c and deviation |gamma_c|. Where no batch norm stands,
mean and variance are carried through the arithmetic. Ranges are where such distributions practically end. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.errors import QuantizationError
from edgebn.functions import BINARY, FUNCTIONS, STATE_FUNCTIONS
from edgebn.passes.quantization.calibration import Range

REACH = 5.0  # deviations from the mean at which a range ends
INPUT_REACH = 6.0  # the same for an input of the network: its moments are estimated, and real inputs have long tails
AVERAGED_VARIANCE = 0.25  # of a value after averaging over space: neighbours are far from independent
GRID = np.linspace(-REACH, REACH, 201)  # where functions of a normal variable are evaluated, in deviations
WEIGHTS = np.exp(-0.5 * GRID**2) / np.exp(-0.5 * GRID**2).sum()
PAIRED = 5  # of so many points of `GRID` one is taken where those of two values are paired
CORRELATIONS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)  # between neighbours, tried for the input


@dataclass(frozen=True)
class Moments:
    """What is estimated of a value, for each channel: float64 arrays (channels,)."""

    mean: np.ndarray
    variance: np.ndarray
    low: np.ndarray  # practical ends
    high: np.ndarray

    @classmethod
    def normal(cls, mean: np.ndarray, variance: np.ndarray, reach: float = REACH) -> Moments:
        """Return a normal distribution cut at `reach` deviations."""
        deviation = np.sqrt(variance)
        return cls(mean, variance, mean - reach * deviation, mean + reach * deviation)

    def through(self, function: Callable[[np.ndarray], np.ndarray]) -> Moments:
        """Return the moments of function(x) for a normal x; `function` takes (points, channels)."""
        points = np.clip(self.mean + GRID[:, None] * np.sqrt(self.variance), self.low, self.high)
        values = function(points)
        finite = values[np.isfinite(values)]
        held = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)  # outside its domain a function is infinite or NaN
        values = np.clip(np.where(np.isnan(values), held[0], values), *held)
        mean = WEIGHTS @ values
        return Moments(mean, WEIGHTS @ (values - mean) ** 2, values.min(axis=0), values.max(axis=0))

    def mixed(self, channels: int) -> Moments:
        """Return the same for values whose channels are no longer told apart."""
        mean = self.mean.mean()
        variance = (self.variance + (self.mean - mean) ** 2).mean()
        return Moments(*(np.full(channels, value) for value in (mean, variance, self.low.min(), self.high.max())))


def norm_ranges(program: p.Program) -> tuple[dict[str, Range], dict[str, np.ndarray]]:
    """Return the ranges and channel means of every buffer of a float32 program, from its batch norms alone.

    Raises
    ------
    QuantizationError
        An input that no batch norm says anything about.
    """
    known: dict[str, Moments] = {}
    for name, array in program.constants.items():
        flat = array.reshape(-1, array.shape[-1]).astype(np.float64)
        known[name] = Moments(flat.mean(axis=0), flat.var(axis=0), flat.min(axis=0), flat.max(axis=0))
    for name in program.inputs:
        known[name] = _input_moments(program, name)
    for step in program.steps:
        rule = _RULES.get(type(step))
        if rule is None:
            raise QuantizationError(f"{program.source}: nothing tells the range of what '{step.name}' makes; give calibration data")
        known[step.output] = rule(step, [known[name] for name in step.inputs], program.buffers[step.output].shape[2])
    ranges = {name: (float(moments.low.min()), float(moments.high.max())) for name, moments in known.items()}
    return ranges, {name: moments.mean for name, moments in known.items()}


def _input_moments(program: p.Program, name: str) -> Moments:
    """Estimate an input from what the first batch norm behind it was trained on."""
    for step in program.steps:
        if step.inputs == (name,) and isinstance(step, (p.Convolution, p.Affine)):
            epilogue = step.epilogue
            bounded = np.isfinite(epilogue.pre).any()
            if epilogue.norms and epilogue.norms[0].is_batch_norm and isinstance(epilogue, p.FloatEpilogue) and not bounded:
                norm = epilogue.norms[0]
                mean, variance = norm.mean.astype(np.float64) - epilogue.bias, norm.variance.astype(np.float64)
                if isinstance(step, p.Affine):
                    return Moments.normal(mean, variance, INPUT_REACH)
                return _behind_convolution(step, mean, variance, program.buffers[name].shape[2])
    raise QuantizationError(
        f"{program.source}: no batch norm stands right behind the input '{name}', so nothing tells its range; give calibration data"
    )


def _behind_convolution(step: p.Convolution, mean: np.ndarray, variance: np.ndarray, channels: int) -> Moments:
    """Solve for the input's channel means and one variance, from the means and variances that a convolution made of them.

    Neighbouring pixels and channels are taken to be correlated by rho**distance; the rho that explains the variances of the
    output channels best (in the logarithm) is kept.
    """
    weight = step.weight.astype(np.float64)  # (O, kh, kw, I / groups)
    out_channels, kh, kw, per_group = weight.shape
    system = np.zeros((out_channels, channels))
    first = np.arange(out_channels) // (out_channels // step.groups) * per_group
    for i in range(per_group):
        system[np.arange(out_channels), first + i] = weight[:, :, :, i].sum(axis=(1, 2))
    # a little of every channel's average keeps an under-determined system near equal means
    shared = np.linalg.lstsq(system.sum(axis=1, keepdims=True), mean, rcond=None)[0][0]
    means = shared + np.linalg.lstsq(system, mean - system.sum(axis=1) * shared, rcond=1e-2)[0]
    place = np.stack(np.meshgrid(np.arange(kh), np.arange(kw), np.arange(per_group), indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.abs(place[:, None] - place[None]).sum(axis=-1)
    rows = weight.reshape(out_channels, -1)
    best_misfit, best_variance = np.inf, 0.0
    for rho in CORRELATIONS:
        gain = np.einsum("ok,kl,ol->o", rows, np.where(distance == 0, 1.0, rho**distance), rows)
        usable = (gain > 0) & (variance > 0)
        if not usable.any():
            continue
        ratio = np.log(variance[usable] / gain[usable])
        misfit = float(np.abs(ratio - np.median(ratio)).mean())
        if misfit < best_misfit:
            best_misfit, best_variance = misfit, float(np.exp(np.median(ratio)))
    return Moments.normal(means, np.full(channels, best_variance), INPUT_REACH)


def _epilogue(moments: Moments, epilogue: p.FloatEpilogue) -> Moments:
    """Carry accumulator moments (bias included) through the clips and the norms; a batch norm knows better than we do."""
    moments = moments.through(lambda x: np.clip(x, *epilogue.pre))
    for norm in epilogue.norms:
        factor = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
        beta = norm.beta.astype(np.float64)
        if norm.is_batch_norm:
            moments = Moments.normal(norm.mean.astype(np.float64), norm.variance.astype(np.float64))
            moments = moments.through(lambda x: np.clip(x, *epilogue.pre))
        ends = [(end - norm.mean) * factor + beta for end in (moments.low, moments.high)]
        mean = (moments.mean - norm.mean) * factor + beta
        moments = Moments(mean, moments.variance * factor**2, np.minimum(*ends), np.maximum(*ends))
    return moments.through(lambda x: np.clip(x, *epilogue.post))


def _convolution(step: Any, inputs: list[Moments], channels: int) -> Moments:  # noqa: ARG001  # rules are called alike
    (x,) = inputs
    weight = step.weight.astype(np.float64)
    per_group = weight.shape[3]
    first = np.arange(len(weight)) // (len(weight) // step.groups) * per_group
    seen = first[:, None] + np.arange(per_group)  # (O, I / groups): which input channels each output reads
    share = 1.0 / (step.strides[0] * step.strides[1]) if isinstance(step, p.TransposedConvolution) else 1.0
    mean = (weight.sum(axis=(1, 2)) * x.mean[seen]).sum(axis=1) * share + step.epilogue.bias
    variance = ((weight**2).sum(axis=(1, 2)) * x.variance[seen]).sum(axis=1) * share
    moments = _epilogue(Moments.normal(mean, variance), step.epilogue)
    pool = step.pool if isinstance(step, p.Convolution) else None
    return moments if pool is None else _window(pool.function, moments)


def _window(function: str, x: Moments) -> Moments:
    """A maximum keeps the range; an average narrows it about the mean, and never beyond the ends."""
    if function == "max":
        return x
    narrow = Moments.normal(x.mean, x.variance * AVERAGED_VARIANCE)
    return Moments(x.mean, narrow.variance, np.maximum(narrow.low, x.low), np.minimum(narrow.high, x.high))


def _affine(step: p.Affine, inputs: list[Moments], channels: int) -> Moments:  # noqa: ARG001  # rules are called alike
    assert isinstance(step.epilogue, p.FloatEpilogue)
    x, bias = inputs[0], step.epilogue.bias
    return _epilogue(Moments(x.mean + bias, x.variance, x.low + bias, x.high + bias), step.epilogue)


def _add(step: p.Add, inputs: list[Moments], channels: int) -> Moments:
    a, b = inputs
    zeros = np.zeros(channels)
    normal = Moments.normal(zeros + a.mean + b.mean, zeros + a.variance + b.variance)
    ends = np.maximum(normal.low, a.low + b.low), np.minimum(normal.high, a.high + b.high)
    return Moments(normal.mean, normal.variance, *ends).through(lambda x: np.clip(x, *step.post))


def _multiply(step: p.Multiply, inputs: list[Moments], channels: int) -> Moments:
    a, b = inputs
    zeros = np.zeros(channels)
    mean = zeros + a.mean * b.mean
    variance = zeros + (a.variance + a.mean**2) * (b.variance + b.mean**2) - mean**2
    corners = np.stack([zeros + x * y for x in (a.low, a.high) for y in (b.low, b.high)])
    product = Moments(mean, np.maximum(variance, 0.0), corners.min(axis=0), corners.max(axis=0))
    return product.through(lambda x: np.clip(x, *step.post))


def _matmul(step: p.MatMul, inputs: list[Moments], channels: int) -> Moments:  # noqa: ARG001  # rules are called alike
    """A sum of products over the first's channels, each with a row of the second, whose rows are alike."""
    a, b = inputs
    squares = (a.variance + a.mean**2)[:, None] * (b.variance + b.mean**2)
    products = a.mean[:, None] * b.mean
    return Moments.normal(products.sum(axis=0), np.maximum(squares - products**2, 0.0).sum(axis=0))


def _binary(step: p.Binary, inputs: list[Moments], channels: int) -> Moments:
    """Of two independent normal values, at every pair of some of their points."""
    some = slice(None, None, PAIRED)
    a, b = (np.clip(x.mean + GRID[some, None] * np.sqrt(x.variance), x.low, x.high) + np.zeros(channels) for x in inputs)
    values = np.clip(BINARY[step.function](a[:, None], b[None]), *step.post).reshape(-1, channels)
    weights = np.outer(WEIGHTS[some], WEIGHTS[some]).reshape(-1) / WEIGHTS[some].sum() ** 2
    mean = weights @ values
    return Moments(mean, weights @ (values - mean) ** 2, values.min(axis=0), values.max(axis=0))


def _elementwise(step: p.Elementwise, inputs: list[Moments], channels: int) -> Moments:  # noqa: ARG001  # rules are called alike
    slope = None if step.slope is None else step.slope.reshape(-1, step.slope.shape[-1]).mean(axis=0)
    function = p.Elementwise(step.name, step.inputs, step.output, step.function, step.low, step.high, step.alpha, step.beta, slope)
    return inputs[0].through(lambda x: FUNCTIONS[step.function](x, function))


def _softmax(step: p.Softmax, inputs: list[Moments], channels: int) -> Moments:  # noqa: ARG001  # rules are called alike
    ones = np.ones(channels)
    return Moments(ones / channels, ones / channels, 0.0 * ones, ones)


def _normalization(step: p.Normalization, inputs: list[Moments], channels: int) -> Moments:  # noqa: ARG001  # rules are called alike
    size = np.abs(step.gamma.astype(np.float64))
    return Moments(step.beta.astype(np.float64), size**2, step.beta - REACH * size, step.beta + REACH * size)


def _recurrence(step: p.Recurrence, inputs: list[Moments], channels: int) -> Moments:
    """States lie between the bounds of their function, where it has any; else they are about as large as what enters."""
    if step.function in ("relu", "identity"):
        return inputs[0].mixed(channels).through(STATE_FUNCTIONS[step.function])
    ones = np.ones(channels)
    low = -1.0 if step.function == "tanh" else 0.0
    return Moments((low + 1.0) / 2 * ones, 0.1 * ones, low * ones, ones)


def _detections(step: p.DetectionPostProcess, inputs: list[Moments], channels: int) -> Moments:  # noqa: ARG001  # rules are called alike
    """Boxes and scores are shares, classes are counted: only what float32 moves reads it."""
    ones = np.ones(channels)
    return Moments(0.5 * ones, 0.1 * ones, 0.0 * ones, max(step.classes, step.most) * ones)


def _concat(step: p.Concat, inputs: list[Moments], channels: int) -> Moments:
    if step.axis == 2:
        return Moments(*(np.concatenate([getattr(x, part) for x in inputs]) for part in ("mean", "variance", "low", "high")))
    joined = Moments(*(np.stack([getattr(x, part) for x in inputs]).ravel() for part in ("mean", "variance", "low", "high")))
    return joined.mixed(channels)


def _moved(step: Any, inputs: list[Moments], channels: int) -> Moments:
    """Pad, crop, resize, transpose and reshape: the channels stay apart where they can be followed."""
    (x,) = inputs
    before = len(x.mean)
    if isinstance(step, p.Pad):
        x = Moments(x.mean, x.variance, np.minimum(x.low, step.value), np.maximum(x.high, step.value))
        return x if channels == before else x.mixed(channels)
    if isinstance(step, p.Crop):
        part = slice(step.starts[2], step.starts[2] + channels)
        return Moments(x.mean[part], x.variance[part], x.low[part], x.high[part])
    mixes = isinstance(step, p.Transpose) and step.permutation[2] != 2
    if mixes or channels % before:
        return x.mixed(channels)
    return Moments(*(np.tile(values, channels // before) for values in (x.mean, x.variance, x.low, x.high)))


_RULES: Mapping[type[p.Step], Callable[[Any, list[Moments], int], Moments]] = {
    p.Convolution: _convolution,
    p.TransposedConvolution: _convolution,
    p.Affine: _affine,
    p.Add: _add,
    p.Multiply: _multiply,
    p.MatMul: _matmul,
    p.Binary: _binary,
    p.Pool: lambda step, inputs, channels: _window(step.window.function, inputs[0]),  # noqa: ARG005  # rules are called alike
    p.Elementwise: _elementwise,
    p.Softmax: _softmax,
    p.Normalization: _normalization,
    p.Recurrence: _recurrence,
    p.DetectionPostProcess: _detections,
    p.Concat: _concat,
    p.Pad: _moved,
    p.Crop: _moved,
    p.Resize: _moved,
    p.Transpose: _moved,
    p.Reshape: _moved,
}
