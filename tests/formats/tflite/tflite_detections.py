"""The operator TFLite_Detection_PostProcess in files for tests, with random anchors."""

import numpy as np

OPTIONS = {"y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0, "nms_iou_threshold": 0.6}


def add_detections(file, rng, codes, scores, count, classes, most, each, **options):
    """Add the operator with random anchors behind two values; returns its outputs."""
    anchors = np.concatenate([rng.uniform(0, 1, (count, 2)), rng.uniform(0.05, 0.6, (count, 2))], 1).astype(np.float32)
    if file.tensors[codes].quantization is None:
        sides = file.constant(anchors)
    else:
        sides = file.constant(np.rint(anchors * 200 + 2).astype(np.uint8), 1 / 200, 2)
    rows = most * each
    outputs = [file.value(shape, np.float32) for shape in ((1, rows, 4), (1, rows), (1, rows), (1,))]
    given = {**OPTIONS, "num_classes": classes, "max_detections": most, "max_classes_per_detection": each, **options}
    file.custom("TFLite_Detection_PostProcess", [codes, scores, sides], outputs, given)
    return outputs
