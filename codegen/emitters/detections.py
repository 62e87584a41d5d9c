"""Boxes of detectors."""

from __future__ import annotations

from codegen.emitters.text import call, float_literal, offset, struct
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import DetectionPostProcess, NonMaxSuppression, Program


def emit(step: DetectionPostProcess, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_detection_post_process_f32."""
    codes, scores = (program.buffers[name].shape for name in step.inputs)
    count = len(step.anchors)
    anchors = CArray(names.array("anchors"), "float", step.anchors, f"({count}, 4): middle y, x, height, width")
    scales = dict(zip(("y_scale", "x_scale", "h_scale", "w_scale"), map(float_literal, step.scales), strict=True))
    settings = struct(
        "edgebn_detections",
        count=count,
        code_size=codes[2],
        score_size=scores[2],
        classes=step.classes,
        most=step.most,
        each=step.each,
        per_class=step.per_class,
        regular=step.regular,
        **scales,
        threshold=float_literal(step.score),
        overlap=float_literal(step.overlap),
    )
    parts = [names.buffer(step.inputs[0]), names.buffer(step.inputs[1]), names.buffer(step.output), anchors.name]
    parts += [offset(names.scratch, 0, "float"), offset(names.scratch, 20 * count, "int32_t"), f"&{settings}"]
    kernel = "edgebn_detection_post_process_f32"
    return StepCode(call(kernel, *parts), (anchors,), ("edgebn_detection_post_process_f32.h",), scratch=24 * count)


def emit_suppression(step: NonMaxSuppression, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_non_max_suppression_f32."""
    _, classes, count = program.buffers[step.inputs[1]].shape
    settings = struct(
        "edgebn_suppression",
        count=count,
        classes=classes,
        most=step.most,
        rows=program.buffers[step.output].shape[1],
        centred=step.centred,
        threshold=float_literal(step.score),
        overlap=float_literal(step.overlap),
    )
    parts = [names.buffer(name) for name in (*step.inputs, step.output)]
    parts += [offset(names.scratch, 0, "float"), offset(names.scratch, 16 * count, "int32_t"), f"&{settings}"]
    kernel = "edgebn_non_max_suppression_f32"
    return StepCode(call(kernel, *parts), (), ("edgebn_non_max_suppression_f32.h",), scratch=20 * count)
