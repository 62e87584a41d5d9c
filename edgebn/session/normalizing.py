"""Packs softmax and the norms by a sample's own statistics."""

from __future__ import annotations

from collections.abc import Mapping

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.session import parts
from edgebn.session.operands import by_pixel
from edgebn.session.options import Options
from edgebn.session.packer import Packer


def softmax_scratch(step: p.Softmax, program: p.Program, options: Options) -> Mapping[str, int]:
    """Return the scratch of a softmax: int8 keeps the exponentials of differences of codes, int16 those of the channels."""
    dtype = p.step_dtype(step, program)
    if dtype == "float32":
        return {}
    words = 256 if dtype == "int8" else program.buffers[step.output].shape[2]
    return {"powers": 4 * words * parts.most_shares(options.threads)}


def pack_softmax(step: p.Softmax, packer: Packer) -> None:
    """Emit a softmax."""
    arguments = by_pixel(step, packer)
    if packer.buffer(step.output).dtype == "float32":
        packer.emit("softmax_f32", beta=step.beta, **arguments)
        return
    if step.tables is not None:
        scalars = {"multiplier": step.multiplier, "left_shift": step.left_shift}
        packer.emit(
            "softmax_i16", scratch=packer.scratch(step, "powers"), tables=packer.constant(step.tables), **scalars, **arguments
        )
        return
    packer.emit(
        "softmax_i8",
        scratch=packer.scratch(step, "powers"),
        multiplier=step.multiplier,
        left_shift=step.left_shift,
        diff_min=step.diff_min,
        **arguments,
    )


def pack_unit_norm(step: p.UnitNorm, packer: Packer) -> None:
    """Emit codes over the root of the sum of their squares."""
    zero = packer.buffer(step.inputs[0]).zero_point
    packer.emit("unit_norm_i8", source_zero=zero, left_shift=step.left_shift, **by_pixel(step, packer))


def normalization_scratch(step: p.Normalization, program: p.Program, options: Options) -> Mapping[str, int]:  # noqa: ARG001  # the same
    """Return the scratch of a norm: statistics of a whole map are two float64 a channel, and for each lane of two vectors."""
    numbers = program.buffers[step.output].shape[2] + 2 * isa.SELECTED.pointwise_lanes
    return {"statistics": 16 * numbers} if step.groups else {}


def pack_normalization(step: p.Normalization, packer: Packer) -> None:
    """Emit a norm by the sample's own statistics."""
    arguments = by_pixel(step, packer)
    arguments |= {"gamma": packer.constant(step.gamma), "beta": packer.constant(step.beta)}
    arguments |= {"epsilon": step.epsilon, "centred": int(step.centred)}
    if step.groups:
        pixel = packer.view(step.output).pixel
        packer.emit(
            "normalize_groups_f32", groups=step.groups, pixel=pixel, scratch=packer.scratch(step, "statistics"), **arguments
        )
    else:
        packer.emit("normalize_pixels_f32", **arguments)
