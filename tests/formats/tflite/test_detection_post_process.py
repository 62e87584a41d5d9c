"""TFLite_Detection_PostProcess, fast and regular, float32 and uint8: every number of LiteRT's, and whole SSD networks with it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert.interpreter import Interpreter, OpResolverType

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.errors import ModelError
from edgebn.preparation.data import Boxes, Picture
from edgebn.preparation.prepare import plain_pixels
from edgebn.session import Session
from tests.conftest import TEST_ALL
from tests.formats.tflite.tflite_detections import add_detections
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(200 if TEST_ALL else 12)


def random_file(rng, unsigned, regular):
    """Return a file of the operator alone, samples of its inputs, and the settings that say which outputs LiteRT writes."""
    count, classes, background = int(rng.integers(1, 150)), int(rng.integers(1, 8)), int(rng.integers(0, 2))
    most, each = int(rng.integers(1, 30)), int(rng.integers(1, 4))
    file = FileBuilder()
    shapes = (1, count, 4), (1, count, classes + background)
    if unsigned:
        codes, scores = file.value(shapes[0], np.uint8, 0.09, 130), file.value(shapes[1], np.uint8, 1 / 256, 0)
        samples = [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes]
    else:
        codes, scores = (file.value(shape, np.float32) for shape in shapes)
        samples = [rng.normal(0, 3, shapes[0]).astype(np.float32), rng.uniform(0, 1, shapes[1]).round(2).astype(np.float32)]
    if each > 1:  # equal scores of one box: LiteRT sorts them as its C++ library likes
        ranks = np.argsort(rng.random(shapes[1]), axis=2)
        samples[1] = ((samples[1] * 0.9).astype(samples[1].dtype) // 8 * 8 + ranks).astype(np.uint8) if unsigned else (
            (samples[1] + ranks * np.float32(0.001)).astype(np.float32))  # fmt: skip
    options = {"use_regular_nms": regular, "nms_score_threshold": float(rng.choice([1e-8, 0.3, 0.9]))}
    if rng.integers(2):
        options["detections_per_class"] = int(rng.integers(1, 20))
    outputs = add_detections(file, rng, codes, scores, count, classes, most, each, **options)
    return file.bytes([codes, scores], outputs), samples, (each, classes)


def litert(content, samples):
    """Return LiteRT's outputs by their names."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail, sample in zip(interpreter.get_input_details(), samples, strict=True):
        interpreter.set_tensor(detail["index"], sample)
    interpreter.invoke()
    return {detail["name"]: interpreter.get_tensor(detail["index"]).copy() for detail in interpreter.get_output_details()}


def assert_equal(found, wanted, regular, each, classes):
    """Compare all that LiteRT has written; the rest is 0."""
    boxes, indices, scores, number = wanted
    size = int(number[0])
    assert found[3].shape == (1,)
    assert found[3][0] == size
    written = range(size) if regular else [each * box + rank for box in range(size) for rank in range(min(each, classes))]
    for one, other in zip(found[:3], (boxes, indices, scores), strict=True):
        assert one.shape == other.shape
        np.testing.assert_array_equal(one[:, written], other[:, written])
        others = np.ones(one.shape[1], bool)
        others[written] = False
        assert not one[:, others].any()


@pytest.mark.parametrize(("unsigned", "regular"), list(product([False, True], repeat=2)))
def test_every_number_is_litert_s(unsigned, regular, tmp_path):
    path = tmp_path / "detections.tflite"
    sizes = []
    for seed in SEEDS:
        content, samples, (each, classes) = random_file(np.random.default_rng(seed), unsigned, regular)
        path.write_bytes(content)
        wanted = list(litert(content, samples).values())
        model = edgebn.load(path)
        given = dict(zip(model.inputs, samples, strict=True))
        for outputs in (reference.run(model, given), Session(model).run(given)):
            found = [outputs[name] for name in model.outputs]
            assert_equal(found, wanted, regular, each, classes)
        sizes.append(int(wanted[3][0]))
    assert max(sizes) > 5


def ssd(rng, unsigned):
    """Return a file of a small SSD detector with two maps of boxes, and its picture's shape."""
    file = FileBuilder()

    def value(shape, scale, zero_point):
        return file.value(shape, np.uint8, scale, zero_point) if unsigned else file.value(shape, np.float32)

    def convolution(x, side, into, out, stride, scale, fused):
        y = value((1, side, side, out), scale, 0 if fused else 128)
        if unsigned:
            weight = file.constant(rng.integers(0, 256, (out, 3, 3, into)).astype(np.uint8), 0.004, 120)
            how = np.float32(0.004) * np.float32(file.tensors[x].quantization.scale[0])
            bias = file.constant(rng.integers(-500, 500, out).astype(np.int32), how)
        else:
            weight = file.constant(rng.normal(0, 0.2, (out, 3, 3, into)).astype(np.float32))
            bias = file.constant(rng.normal(0, 0.2, out).astype(np.float32))
        settings = {"padding": 0, "strideH": stride, "strideW": stride, "dilationHFactor": 1, "dilationWFactor": 1}
        file.operator("CONV_2D", [x, weight, bias], [y], "Conv2DOptions", fusedActivationFunction=fused, **settings)
        return y

    image = value((1, 32, 32, 3), 1 / 128, 128)
    maps = [convolution(image, 16, 3, 8, 2, 0.03, 1)]
    maps.append(convolution(maps[0], 8, 8, 12, 2, 0.03, 1))
    classes, heads = 3, []
    for size, scale in ((4, 0.05), (1 + classes, 0.04)):
        parts = []
        for source, side, into in ((maps[0], 16, 8), (maps[1], 8, 12)):
            made = convolution(source, side, into, 2 * size, 1, scale, 0)
            part = value((1, side * side * 2, size), scale, 128)
            shape = [1, side * side * 2, size]
            file.operator("RESHAPE", [made, file.constant(np.array(shape, np.int32))], [part], "ReshapeOptions", newShape=shape)
            parts.append(part)
        joined = value((1, 640, size), scale, 128)
        file.operator("CONCATENATION", parts, [joined], "ConcatenationOptions", axis=1)
        heads.append(joined)
    scores = value((1, 640, 1 + classes), 1 / 256, 0)
    file.operator("LOGISTIC", [heads[1]], [scores])
    options = {"nms_score_threshold": 1e-8, "use_regular_nms": False}
    outputs = add_detections(file, rng, heads[0], scores, 640, classes, 10, 1, **options)
    return file.bytes([image], outputs), (32, 32, 3)


@pytest.mark.parametrize("unsigned", [False, True])
def test_a_whole_detector(unsigned, tmp_path):
    """uint8: every number of LiteRT's; float32: the same boxes, as near as sums of float32 are."""
    path = tmp_path / "ssd.tflite"
    rng = np.random.default_rng(4)
    content, shape = ssd(rng, unsigned)
    path.write_bytes(content)
    image = rng.integers(0, 256, (1, *shape)).astype(np.uint8) if unsigned else rng.normal(0, 1, (1, *shape)).astype(np.float32)
    wanted = list(litert(content, [image]).values())
    model = edgebn.load(path)
    edgebn.save(model, tmp_path / "ssd.edgebn")
    for outputs in (
        reference.run(model, image),
        Session(model).run(image),
        Session(edgebn.load(tmp_path / "ssd.edgebn")).run(image),
    ):
        found = [outputs[name] for name in model.outputs]
        if unsigned:
            assert wanted[3][0] == 10
            assert_equal(found, wanted, regular=False, each=1, classes=3)
        else:
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_detector_answers_with_boxes(tmp_path):
    path = tmp_path / "ssd.tflite"
    content, shape = ssd(np.random.default_rng(4), unsigned=True)
    path.write_bytes(content)
    model = edgebn.load(path)
    scale, offset = plain_pixels(model.buffers[model.inputs[0]])
    model = edgebn.prepare(model, image=Picture(scale=scale, offset=offset), boxes=Boxes(("a", "b", "c"), "post_process"))
    pixels = np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)
    boxes, classes, scores, _ = litert(content, [pixels[None]]).values()
    found = edgebn.Pipeline(model)(pixels)
    assert len(found) == np.count_nonzero(scores > 0.25) > 3
    for box, sides, index, score in zip(found, boxes[0], classes[0], scores[0], strict=False):
        assert (box.index, box.score) == (index, score)
        np.testing.assert_allclose([box.top, box.left, box.bottom, box.right], np.clip(sides * 32, 0, 32), rtol=1e-6)


def test_a_quantised_detector_keeps_its_boxes_in_float32(tmp_path):
    path = tmp_path / "ssd.tflite"
    rng = np.random.default_rng(4)
    content, shape = ssd(rng, unsigned=False)
    path.write_bytes(content)
    images = rng.normal(0, 1, (8, *shape)).astype(np.float32)
    quantized = edgebn.quantize(edgebn.load(path), calibration=images)
    (step,) = (step for step in quantized.steps if isinstance(step, p.DetectionPostProcess))
    assert {quantized.buffers[name].dtype for name in (*step.inputs, step.output, *quantized.outputs)} == {"float32"}
    assert sum(buffer.dtype == "int8" for buffer in quantized.buffers.values()) > 5
    outputs = Session(quantized).run(images[:1])
    assert {outputs[name].dtype for name in quantized.outputs} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_detections": 0}, "option 'max_detections' is 0"),
        ({"num_classes": 9}, "9 classes do not fit scores"),
        ({"y_scale": 0.0}, "scales .* are not all positive"),
        ({"nms_iou_threshold": 1.5}, "overlap 1.5 is not above 0"),
        ({"h_scale": "five"}, "option 'h_scale' is missing or no number"),
    ],
)
def test_damage_is_refused(options, message, tmp_path):
    file, rng = FileBuilder(), np.random.default_rng(0)
    codes, scores = file.value((1, 5, 4), np.float32), file.value((1, 5, 3), np.float32)
    outputs = add_detections(file, rng, codes, scores, 5, 3, 2, 1, **{"nms_score_threshold": 0.5, **options})
    (tmp_path / "bad.tflite").write_bytes(file.bytes([codes, scores], outputs))
    with pytest.raises(ModelError, match=rf"bad\.tflite.*{message}"):
        edgebn.load(tmp_path / "bad.tflite")


def test_a_stored_step_that_does_not_fit_is_refused(tmp_path):
    file, rng = FileBuilder(), np.random.default_rng(0)
    codes, scores = file.value((1, 5, 4), np.float32), file.value((1, 5, 3), np.float32)
    (tmp_path / "good.tflite").write_bytes(
        file.bytes([codes, scores], add_detections(file, rng, codes, scores, 5, 3, 2, 1, nms_score_threshold=0.5))
    )
    model = edgebn.load(tmp_path / "good.tflite")
    (step,) = (step for step in model.steps if isinstance(step, p.DetectionPostProcess))
    for wrong in ({"most": 3}, {"anchors": step.anchors[:4]}, {"scales": (1.0, 1.0, 0.0, 1.0)}, {"overlap": 2.0}, {"classes": 4}):
        steps = tuple(replace(one, **wrong) if one is step else one for one in model.steps)
        edgebn.save(replace(model, steps=steps), tmp_path / "bad.edgebn")
        with pytest.raises(ModelError, match="does not fit"):
            edgebn.load(tmp_path / "bad.edgebn")
