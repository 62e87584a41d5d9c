"""Packs the boxes of detectors."""

from __future__ import annotations

from collections.abc import Mapping

from edgebn import program as p
from edgebn.session.options import Options
from edgebn.session.packer import Packer


def scratch(step: p.DetectionPostProcess, program: p.Program, options: Options) -> Mapping[str, int]:  # noqa: ARG001  # the same
    """Return the scratch: decoded boxes, their scores, and the candidates that are left."""
    count = len(step.anchors)
    return {"boxes": 16 * count, "best": 4 * count, "candidates": 4 * count}


def pack(step: p.DetectionPostProcess, packer: Packer) -> None:
    """Emit decoding and suppression."""
    codes, scores, output = (packer.view(name) for name in (*step.inputs, step.output))
    packer.emit(
        "detection_post_process_f32",
        codes=codes.address,
        codes_pixel=codes.pixel,
        scores=scores.address + 4 * (scores.layout.shape[2] - step.classes),
        scores_pixel=scores.pixel,
        dst=output.address,
        anchors=packer.constant(step.anchors),
        boxes=packer.scratch(step, "boxes"),
        best=packer.scratch(step, "best"),
        candidates=packer.scratch(step, "candidates"),
        count=len(step.anchors),
        classes=step.classes,
        most=step.most,
        each=step.each,
        per_class=step.per_class,
        regular=int(step.regular),
        **dict(zip(("y_scale", "x_scale", "h_scale", "w_scale"), step.scales, strict=True)),
        threshold=step.score,
        overlap=step.overlap,
    )


def suppression_scratch(step: p.NonMaxSuppression, program: p.Program, options: Options) -> Mapping[str, int]:  # noqa: ARG001
    """Return the scratch: corners, and the candidates that are left."""
    count = program.buffers[step.inputs[0]].shape[1]
    return {"boxes": 16 * count, "candidates": 4 * count}


def pack_suppression(step: p.NonMaxSuppression, packer: Packer) -> None:
    """Emit suppression alone."""
    boxes, scores, output = (packer.view(name) for name in (*step.inputs, step.output))
    packer.emit(
        "non_max_suppression_f32",
        corners=boxes.address,
        corners_pixel=boxes.pixel,
        scores=scores.address,
        scores_pixel=scores.pixel,
        dst=output.address,
        boxes=packer.scratch(step, "boxes"),
        candidates=packer.scratch(step, "candidates"),
        count=boxes.layout.shape[1],
        classes=scores.layout.shape[1],
        most=step.most,
        rows=output.layout.shape[1],
        centred=int(step.centred),
        threshold=step.score,
        overlap=step.overlap,
    )
