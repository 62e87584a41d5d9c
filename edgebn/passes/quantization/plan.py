"""What quantising a step needs to know of its surroundings, and what is done alike for int8 and int16 codes. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.passes.integer import multipliers
from edgebn.passes.quantization.calibration import Range
from edgebn.passes.quantization.patch_moments import PatchMoments
from edgebn.passes.quantization.quantize_weights import least_squares_scales, mean_error, quantize_weights
from edgebn.passes.quantization.round_weights import lost_mean, round_weights

UNBOUNDED = (-np.inf, np.inf)
RESIZE_ONE = 1024  # integer bilinear weights of a pair sum to this


@dataclass(frozen=True)
class Plan:
    """What a step needs to know of its surroundings.

    Attributes
    ----------
    program : Program
        float32.
    buffers : mapping of str to Buffer
        int8 or int16.
    ranges : mapping of str to (low, high)
        Of every buffer.
    means : mapping of str to ndarray (channels,)
        Channel means of the float32 values, where known.
    moments : mapping of str to PatchMoments
        Of what convolutions read, by step name, where known.
    scales : dict of str to ndarray (channels,)
        Of weights, by step name, as they are found: they depend on nothing else here.
    """

    program: p.Program
    buffers: Mapping[str, p.Buffer]
    ranges: Mapping[str, Range]
    means: Mapping[str, np.ndarray]
    moments: Mapping[str, PatchMoments]
    scales: dict[str, np.ndarray]

    def where(self, step: p.Step) -> str:
        """Name a step for messages."""
        return f"{self.program.source}: layer '{step.name}'"


def rounded_weights(step: p.Convolution | p.TransposedConvolution, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return int8 weights, float64 scales (O,), and the bias (O,) with what rounding takes from the outputs' means."""
    assert isinstance(step.epilogue, p.FloatEpilogue)
    bias = step.epilogue.bias.astype(np.float64)
    if step.name not in plan.scales:
        plan.scales[step.name] = least_squares_scales(step.weight)
    codes, weight_scale = quantize_weights(step.weight, bias, plan.buffers[step.inputs[0]].scale, plan.scales[step.name])
    if step.name in plan.moments:
        codes, weight_scale = round_weights(step.weight, codes, weight_scale, plan.moments[step.name])
        bias = bias + lost_mean(step.weight, codes, weight_scale, plan.moments[step.name])
    elif step.inputs[0] in plan.means:
        bias = bias + mean_error(step.weight, codes, weight_scale, plan.means[step.inputs[0]], step.groups)
    return codes, weight_scale, bias


def unfolded_epilogue(step: Any, acc_bias: np.ndarray, bias: np.ndarray, plan: Plan) -> p.IntEpilogue:
    """Return the epilogue for `refold` to complete; without a batch norm both clips are one and become qmin and qmax."""
    float_epilogue: p.FloatEpilogue = step.epilogue
    pre, post = float_epilogue.pre, float_epilogue.post
    if not float_epilogue.norms:
        pre, post = UNBOUNDED, (max(min(pre[0], post[1]), post[0]), min(max(pre[1], post[0]), post[1]))
    start = multipliers.identity_epilogue(acc_bias, plan.buffers[step.output], post)
    return replace(start, bias=bias, pre=pre, norms=float_epilogue.norms)


def output_codes(step: p.Add | p.Multiply | p.Binary, plan: Plan) -> tuple[float, tuple[int, int, int]]:
    """Return the scale of a step's output, its zero point and its clip."""
    output = plan.buffers[step.output]
    return output.scale, (output.zero_point, *multipliers.clip_codes(output, step.post))


def padding(step: p.Pad, plan: Plan) -> p.Step:
    """Return a Pad by the code of its number."""
    return replace(step, value=float(multipliers.nearest_codes(np.array(step.value), plan.buffers[step.output])))


def resampling(step: p.Resize, plan: Plan) -> p.Step:  # noqa: ARG001  # every step's function is called alike
    """Return a Resize with integer weights."""

    def integers(weights: np.ndarray) -> np.ndarray:
        first = np.rint(weights[:, 0].astype(np.float64) * RESIZE_ONE).astype(np.int32)
        return np.stack([first, RESIZE_ONE - first], axis=1)

    return replace(step, row_weights=integers(step.row_weights), column_weights=integers(step.column_weights))


def unchanged(step: p.Step, plan: Plan) -> p.Step:  # noqa: ARG001  # every step's function is called alike
    """Return a step that moves codes of any type."""
    return step
