"""The table of step kinds: what scratch each wants and how each is packed. Adding an operation adds a line here.

Functions are named, MODULE.FUNCTION of this folder, and imported when a program has such a step: no start imports all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from edgebn import program as p
from edgebn.session.options import Options
from edgebn.session.packer import Packer

PACK: dict[type[p.Step], str] = {
    p.Convolution: "convolution.pack",
    p.TransposedConvolution: "convolution.pack_transposed",
    p.Affine: "arithmetic.pack_affine",
    p.Add: "arithmetic.pack_add",
    p.Multiply: "arithmetic.pack_multiply",
    p.MatMul: "products.pack_matmul",
    p.Binary: "arithmetic.pack_binary",
    p.Pool: "pooling.pack",
    p.Lookup: "arithmetic.pack_lookup",
    p.Rescale: "arithmetic.pack_rescale",
    p.Curve: "arithmetic.pack_curve",
    p.Elementwise: "arithmetic.pack_elementwise",
    p.Softmax: "normalizing.pack_softmax",
    p.Normalization: "normalizing.pack_normalization",
    p.UnitNorm: "normalizing.pack_unit_norm",
    p.Recurrence: "recurrent.pack",
    p.DetectionPostProcess: "detections.pack",
    p.NonMaxSuppression: "detections.pack_suppression",
    p.Concat: "movement.pack_concat",
    p.Pad: "movement.pack_pad",
    p.Crop: "movement.pack_crop",
    p.Resize: "movement.pack_resize",
    p.Transpose: "movement.pack_transpose",
    p.Reshape: "movement.pack_reshape",
    p.Quantize: "arithmetic.pack_quantize",
    p.Dequantize: "arithmetic.pack_dequantize",
    p.Cast: "integers.pack_cast",
    p.IntegerBinary: "integers.pack_integer_binary",
    p.ArgExtreme: "integers.pack_arg_extreme",
    p.Select: "integers.pack_select",
    p.GatherND: "integers.pack_gather_nd",
}

# Names and bytes of scratch, of the kinds that want any.
SCRATCH: dict[type[p.Step], str] = {
    p.Convolution: "convolution.scratch",
    p.Pool: "pooling.scratch",
    p.Softmax: "normalizing.softmax_scratch",
    p.MatMul: "products.matmul_scratch",
    p.Multiply: "scaling.scratch",
    p.Resize: "movement.resize_scratch",
    p.Normalization: "normalizing.normalization_scratch",
    p.Recurrence: "recurrent.scratch",
    p.DetectionPostProcess: "detections.scratch",
    p.NonMaxSuppression: "detections.suppression_scratch",
}


def pack(step: p.Step, packer: Packer) -> None:
    """Emit a step's rows."""
    _function(PACK[type(step)])(step, packer)


def scratch_of(step: p.Step, program: p.Program, options: Options) -> Mapping[str, int]:
    """Return the names and bytes of a step's scratch."""
    found: Mapping[str, int] = _function(SCRATCH[type(step)])(step, program, options) if type(step) in SCRATCH else {}
    return found


@functools.cache
def _function(place: str) -> Callable[..., Any]:
    module, name = place.split(".")
    found: Callable[..., Any] = getattr(import_module(f"edgebn.session.{module}"), name)
    return found
