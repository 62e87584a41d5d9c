"""TFLite_Detection_PostProcess: what detectors of TensorFlow's object detection API end with."""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.tflite.context import Reading, inputs_of
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.layers import Crop, Dequantize, DetectionPostProcess, Reshape

DETECTIONS_PER_CLASS = 100  # where the options do not say it


def detection_post_process(reading: Reading, operator: FileOperator) -> None:
    """One layer makes a vector of boxes, classes, scores and their number; each output is a part of it.

    Codes are dequantised first, as the operator itself does.
    """
    codes, scores, anchors = inputs_of(operator, 3, 3)
    if len(operator.outputs) != 4 or min(operator.outputs) < 0:
        raise ModelError(f"it has {len(operator.outputs)} outputs where four should be; the file is damaged")
    label = reading.unique(f"{reading.tensor(operator.outputs[0]).name.split(';', maxsplit=1)[0]}/detections")
    values = [_real(reading, index, label) for index in (codes, scores)]
    sides = reading.numbers(anchors)
    if sides.ndim != 2 or sides.shape[1] != 4 or not (sides[:, 2:] > 0).all():
        raise ModelError(f"its anchors of shape {sides.shape} are no boxes with a height and a width; the file is damaged")
    most, each = (_count(operator, name) for name in ("max_detections", "max_classes_per_detection"))
    made = reading.step(
        DetectionPostProcess,
        label,
        tuple(values),
        None,
        anchors=sides,
        scales=tuple(_real_option(operator, f"{side}_scale") for side in "yxhw"),
        classes=_count(operator, "num_classes"),
        most=most,
        each=each,
        per_class=_count(operator, "detections_per_class", DETECTIONS_PER_CLASS),
        regular=bool(operator.custom_number("use_regular_nms", 0)),
        score=_real_option(operator, "nms_score_threshold"),
        overlap=_real_option(operator, "nms_iou_threshold"),
    )
    rows, start = most * each, 0
    for output, (size, full) in enumerate(((4 * rows, (1, rows, 4)), (rows, (1, rows)), (rows, (1, rows)), (1, (1,)))):
        part = reading.step(Crop, f"{label}/part", (made,), None, starts=(start,), sizes=(size,))
        reading.emit(operator, Reshape, (part,), full=full, output=output, shape=full[1:])
        start += size


def _real(reading: Reading, index: int, label: str) -> str:
    """Return a value in float32."""
    value = reading.value(index)
    return reading.step(Dequantize, f"{label}/real", (value,), None) if reading.is_codes(index) else value


def _count(operator: FileOperator, name: str, otherwise: float | None = None) -> int:
    number = operator.custom_number(name, otherwise)
    if not (number == int(number) and 1 <= number < 1 << 16):
        raise ModelError(f"its option '{name}' is {number}, no number of boxes or classes; the file is damaged")
    return int(number)


def _real_option(operator: FileOperator, name: str) -> float:
    """Return an option as the operator reads it, in float32."""
    return float(np.float32(operator.custom_number(name)))
