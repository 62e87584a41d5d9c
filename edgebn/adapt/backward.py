"""Gradients of a loss with respect to what batch norms multiply by and add: one backward pass over a float32 program, in NumPy.

Only those two are differentiated, and only steps between the first adapted layer and the logits are passed. Everything is float64,
from the values that the specification gives. Where a function has a corner (a clip at its bound) the slope is 0, as in PyTorch; of
equal values under a maximum the first takes all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn import reference
from edgebn.adapt.engines import ReferenceEngine
from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.adaptation import AdaptedLayer
from edgebn.errors import ModelError
from edgebn.reference.pooling import sum_and_count, windows

Geometry = tuple[p.Pair, p.Pair, p.Pair, p.Sides]  # kernel, strides, dilations, padding


@dataclass(frozen=True)
class Slopes:
    """Derivatives of a loss, with z = scale * n + offset what an adapted batch norm gives and n its input at source statistics.

    Attributes
    ----------
    scale, offset : ndarray of float32, shape (channels,)
        Of all adapted layers; 0 where a channel cannot adapt.
    """

    scale: np.ndarray
    offset: np.ndarray


class Backward:
    """A program's backward pass, under epilogues as they are folded.

    Parameters
    ----------
    program : Program
        float32, with an `adaptation`.
    policy : str
        Who asks, for errors.

    Raises
    ------
    ModelError
        The program is int8, or a step on the way back is of a kind without a derivative here.
    """

    def __init__(self, program: p.Program, policy: str) -> None:
        remedy = "choose a policy without gradients, such as 'compensated-tracking'"
        if program.dtype != "float32":
            raise ModelError(
                f"{program.source}: the policy '{policy}' needs gradients, which a model in int8, or in part, does not have; "
                f"adapt the float32 model, or {remedy}"
            )
        self._engine = ReferenceEngine(program)
        self._source = SourceStatistics(program)
        self._path, self._live = _path(program, self._source)
        for step in self._path:
            why = _obstacle(step)
            if why:
                raise ModelError(
                    f"{program.source}: the policy '{policy}' has no gradient through step '{step.name}' ({why}); {remedy}"
                )

    def fold(self, drift: np.ndarray, ratio: np.ndarray) -> None:
        """Fold statistics as `Engine.fold` does."""
        self._engine.fold(drift, ratio)

    def slopes(self, sample: Mapping[str, np.ndarray], at_logits: np.ndarray) -> Slopes:
        """Return the derivatives of a loss.

        Parameters
        ----------
        sample : mapping of str to ndarray, shape (1, ...)
        at_logits : ndarray, shape (classes,)
            Of the loss with respect to the logits.
        """
        program, adaptation = self._engine.current, self._source.adaptation
        values, accumulators = _forward(program, sample)
        slopes: dict[str, np.ndarray] = {adaptation.logits: at_logits.astype(np.float64).reshape(values[adaptation.logits].shape)}
        layers = dict(zip(self._source.names, zip(adaptation.layers, self._source.slices, strict=True), strict=True))
        steps = {step.name: step for step in program.steps}
        scale, offset = np.zeros(self._source.channels, np.float32), np.zeros(self._source.channels, np.float32)
        for step in (steps[one.name] for one in self._path):
            slope = slopes.pop(step.output)
            if isinstance(step, p.Convolution | p.Affine):
                stages = _stages(accumulators[step.name], step.epilogue)
                if isinstance(step, p.Convolution) and step.pool is not None:
                    slope = _through_windows(stages.clipped, step.pool, slope)
                slope = np.where(stages.passes, slope, 0.0)
                if step.name in layers:
                    layer, where = layers[step.name]
                    scale[where], offset[where] = _at_norm(stages.u, slope, layer)
                slope = np.where(stages.enters, slope * stages.a, 0.0)
            operands = [values[name] for name in step.inputs]
            for place, name in enumerate(step.inputs):
                if name in self._live:
                    found = BACKWARD[type(step)](step, operands, slope, place)
                    slopes[name] = slopes[name] + found if name in slopes else found
        return Slopes(scale, offset)


def _path(program: p.Program, source: SourceStatistics) -> tuple[list[p.Step], set[str]]:
    """Return the steps between the adapted layers and the logits, last first, and all buffers that adapted layers reach."""
    live: set[str] = set()
    for step in program.steps:
        if step.name in source.names or live.intersection(step.inputs):
            live.add(step.output)
    needed, path = {source.adaptation.logits}, []
    for step in reversed(program.steps):
        if step.output in needed & live:
            path.append(step)
            needed.update(step.inputs)
    return path, live


def _obstacle(step: p.Step) -> str:
    if isinstance(step, p.Elementwise) and step.function != "clip":
        return f"Elementwise {step.function}"
    return "" if type(step) in BACKWARD else step.kind


def _forward(program: p.Program, sample: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return every buffer's value, and by step what its epilogue receives."""
    values = dict(program.constants)
    accumulators: dict[str, np.ndarray] = {}
    for name in program.inputs:
        values[name] = np.asarray(sample[name][0], np.float32).reshape(program.buffers[name].shape)
    for step in program.steps:
        buffers = tuple(program.buffers[name] for name in step.inputs)
        operand_values = tuple(values[name] for name in step.inputs)
        keep = partial(accumulators.__setitem__, step.name)
        operands = reference.Operands(operand_values, buffers, program.buffers[step.output], keep)
        values[step.output] = reference.STEPS[type(step)](step, operands)
    return values, accumulators


@dataclass(frozen=True)
class _Stages:
    """An epilogue's multipliers and intermediate values (rows, columns, channels), and where its clips let slopes pass."""

    u: np.ndarray
    a: np.ndarray
    clipped: np.ndarray
    enters: np.ndarray
    passes: np.ndarray


def _stages(acc: np.ndarray, epilogue: p.FloatEpilogue | p.IntEpilogue) -> _Stages:
    assert isinstance(epilogue, p.FloatEpilogue)
    before = acc.astype(np.float64) + epilogue.bias
    u = np.clip(before, *epilogue.pre)
    a = epilogue.a.astype(np.float64)
    z = u * a + epilogue.d
    return _Stages(u, a, np.clip(z, *epilogue.post), _inside(before, epilogue.pre), _inside(z, epilogue.post))


def _at_norm(u: np.ndarray, slope: np.ndarray, layer: AdaptedLayer) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives for what the norm multiplies by and adds, given those at its output."""
    sigma = layer.sigma.astype(np.float64)
    normalised = (u - layer.observation.center) / np.where(sigma > 0, sigma, 1)
    return np.where(sigma > 0, (slope * normalised).sum(axis=(0, 1)), 0), np.where(sigma > 0, slope.sum(axis=(0, 1)), 0)


def _inside(x: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    return (x > bounds[0]) & (x < bounds[1])


def _scatter(shares: np.ndarray, shape: p.Hwc, geometry: Geometry) -> np.ndarray:
    """Add what every window (OH, OW, C, kh, kw) gives its positions: the transpose of `reference.pooling.windows`."""
    _, (sy, sx), (dy, dx), (top, left, bottom, right) = geometry
    oh, ow, _, kh, kw = shares.shape
    padded = np.zeros((shape[0] + top + bottom, shape[1] + left + right, shape[2]))
    for i in range(kh):
        for j in range(kw):
            padded[i * dy : i * dy + (oh - 1) * sy + 1 : sy, j * dx : j * dx + (ow - 1) * sx + 1 : sx] += shares[..., i, j]
    return padded[top : top + shape[0], left : left + shape[1]]


def _through_windows(x: np.ndarray, window: p.Window, slope: np.ndarray) -> np.ndarray:
    geometry = (window.kernel, window.strides, window.dilations, window.padding)
    patches = windows(x, *geometry, -np.inf)
    shares = np.zeros(patches.shape)
    if window.function == "max":
        flat = shares.reshape(*patches.shape[:3], -1)
        np.put_along_axis(flat, patches.reshape(flat.shape).argmax(axis=3)[..., None], slope[..., None], axis=3)
    else:
        _, count = sum_and_count(x.astype(np.float64), window, 0)
        shares += (slope / np.maximum(count, 1))[..., None, None]
    return _scatter(shares, x.shape, geometry)


def _convolution(step: p.Convolution, operands: list[np.ndarray], slope: np.ndarray, _place: int) -> np.ndarray:
    out_channels, kh, kw, per_group = step.weight.shape
    oh, ow, _ = slope.shape
    left = slope.reshape(oh * ow, step.groups, -1).transpose(1, 0, 2)
    right = step.weight.reshape(step.groups, out_channels // step.groups, -1).astype(np.float64)
    shares = np.matmul(left, right).reshape(step.groups, oh, ow, kh, kw, per_group)  # (groups, OH, OW, kh, kw, I / groups)
    shares = shares.transpose(1, 2, 0, 5, 3, 4).reshape(oh, ow, -1, kh, kw)
    return _scatter(shares, operands[0].shape, ((kh, kw), step.strides, step.dilations, step.padding))


def _add(step: p.Add, operands: list[np.ndarray], slope: np.ndarray, place: int) -> np.ndarray:
    total = operands[0].astype(np.float64) + operands[1]
    passed = np.where(_inside(total, step.post), slope, 0.0)
    shape = operands[place].shape
    repeated = tuple(axis for axis in range(3) if shape[axis] == 1 != passed.shape[axis])
    return passed.sum(axis=repeated, keepdims=True)


def _softmax(step: p.Softmax, operands: list[np.ndarray], slope: np.ndarray, _place: int) -> np.ndarray:
    x = step.beta * operands[0].astype(np.float64)
    powers = np.exp(x - x.max(axis=2, keepdims=True))
    y = powers / powers.sum(axis=2, keepdims=True)
    return step.beta * y * (slope - (slope * y).sum(axis=2, keepdims=True))


# Step class to (step, operands' values, slope, which operand) -> slope of that operand. What an epilogue and a fused pool do is
# already taken off the slope.
BACKWARD: dict[type[p.Step], Callable[[Any, list[np.ndarray], np.ndarray, int], np.ndarray]] = {
    p.Convolution: _convolution,
    p.Affine: lambda _step, _operands, slope, _place: slope,
    p.Add: _add,
    p.Pool: lambda step, operands, slope, _place: _through_windows(operands[0], step.window, slope),
    p.Softmax: _softmax,
    p.Reshape: lambda _step, operands, slope, _place: slope.reshape(operands[0].shape),
    p.Elementwise: lambda step, operands, slope, _place: np.where(_inside(operands[0], (step.low, step.high)), slope, 0.0),
}
