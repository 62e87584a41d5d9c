"""MediaPipe's custom operators (selfie and hair segmentation): what LiteRT's compiled model, which runs them by XNNPACK, says."""

import struct

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert.compiled_model", reason="LiteRT is not installed")

from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator

import edgebn
from edgebn.errors import ModelError, UnsupportedLayerError
from tests.conftest import TEST_ALL
from tests.emitted import check
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(100 if TEST_ALL else 10)
SAME, VALID = 1, 2
CHANNELS = 3


def litert(content, sample, shapes):
    """Return the outputs of LiteRT on the CPU, in the file's order."""
    model = CompiledModel.from_buffer(content, hardware_accel=HardwareAccelerator.CPU)
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    inputs[0].write(sample)
    model.run_by_index(0, inputs, outputs)
    return [buffer.read(int(np.prod(shape)), np.float32).reshape(shape) for buffer, shape in zip(outputs, shapes, strict=True)]


def loaded(content, tmp_path, **settings):
    path = tmp_path / "file.tflite"
    path.write_bytes(content)
    return edgebn.load(path, **settings)


def transposed(rng, size, kernel, strides, same, out, leave_open=False):
    """Return a file of one Convolution2DTransposeBias."""
    file = FileBuilder()
    x = file.value((1, *size, CHANNELS), np.float32)
    y = file.value((1, *out, 4), np.float32)
    w, b = (file.constant(rng.normal(0, 1, shape).astype(np.float32)) for shape in ((4, *kernel, CHANNELS), (4,)))
    file.custom("Convolution2DTransposeBias", [x, w, b], [y], struct.pack("<3i", SAME if same else VALID, strides[1], strides[0]))
    if leave_open:
        for value, channels in ((x, CHANNELS), (y, 4)):
            file.tensors[value].shapeSignature = [1, -1, -1, channels]
            file.tensors[value].shape = [1, 1, 1, channels]
    return file.bytes([x], [y])


def image_after(size, kernel, strides, same):
    """The size that MediaPipe's own kernel gives its output."""
    axes = zip(size, kernel, strides, strict=True)
    return tuple(
        stride * (side - 1) + taps - (max(0, taps - (side - 1) % stride - 1) if same else 0) for side, taps, stride in axes
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_convolution_transpose_bias(seed, tmp_path):
    rng = np.random.default_rng(seed)
    size, kernel, strides = (tuple(int(n) for n in rng.integers(low, high, 2)) for low, high in ((2, 9), (2, 5), (1, 4)))
    kernel = tuple(max(pair) for pair in zip(kernel, strides, strict=True))
    same = bool(seed % 2)
    whole = tuple(side * stride for side, stride in zip(size, strides, strict=True))
    out = whole if same else image_after(size, kernel, strides, same)
    content = transposed(rng, size, kernel, strides, same, out)
    x = rng.normal(0, 1, (1, *size, CHANNELS)).astype(np.float32)
    (wanted,) = litert(content, x, [(1, *out, 4)])
    found = edgebn.Session(loaded(content, tmp_path)).run(x)
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_an_open_size_follows_as_in_mediapipe(tmp_path):
    rng = np.random.default_rng(3)
    content = transposed(rng, (1, 1), (2, 2), (2, 2), True, (1, 1), leave_open=True)
    program = loaded(content, tmp_path, input_shape=(6, 4, CHANNELS))
    rng = np.random.default_rng(3)
    closed = transposed(rng, (6, 4), (2, 2), (2, 2), True, (12, 8))
    x = rng.normal(0, 1, (1, 6, 4, CHANNELS)).astype(np.float32)
    (wanted,) = litert(closed, x, [(1, 12, 8, 4)])
    assert np.allclose(edgebn.Session(program).run(x), wanted, atol=1e-5)


def pool_options(kernel, padding, strides=None, fused=0):
    """Return TfLitePoolParams."""
    strides = strides or kernel
    return struct.pack("<10i", padding, strides[1], strides[0], kernel[1], kernel[0], fused, 0, 0, 0, 0)


def segmenter(rng, size, kernel, padding=VALID, strides=None, order=True, pooled_too=True):
    """A network as hair segmentation is built: pool with places, convolve, unpool, transposed convolution."""
    file, small = FileBuilder(), (size[0] // kernel[0], size[1] // kernel[1])
    x = file.value((1, *size, CHANNELS), np.float32)
    pooled, places, deep = (file.value((1, *small, CHANNELS), np.float32) for _ in range(3))
    whole = (small[0] * kernel[0], small[1] * kernel[1])
    unpooled, y = file.value((1, *whole, CHANNELS), np.float32), file.value((1, 2 * whole[0], 2 * whole[1], 4), np.float32)
    w, b = (file.constant(rng.normal(0, 1, shape).astype(np.float32)) for shape in ((CHANNELS, 1, 1, CHANNELS), (CHANNELS,)))
    file.custom("MaxPoolingWithArgmax2D", [x], [pooled, places], pool_options(kernel, padding, strides))
    file.operator("CONV_2D", [pooled, w, b], [deep], "Conv2DOptions", strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    file.custom("MaxUnpooling2D", [deep, places if order else pooled], [unpooled], pool_options(kernel, padding, strides))
    w, b = (file.constant(rng.normal(0, 1, shape).astype(np.float32)) for shape in ((4, 2, 2, CHANNELS), (4,)))
    file.custom("Convolution2DTransposeBias", [unpooled, w, b], [y], struct.pack("<3i", SAME, 2, 2))
    outputs, shapes = [y, pooled], [(1, 2 * whole[0], 2 * whole[1], 4), (1, *small, CHANNELS)]
    count = 2 if pooled_too else 1
    return file.bytes([x], outputs[:count]), shapes[:count]


@pytest.mark.parametrize("seed", SEEDS)
def test_unpooled_places(seed, tmp_path):
    """Equal elements too: few whole numbers stand in the picture."""
    rng = np.random.default_rng(seed)
    kernel = tuple(int(n) for n in rng.integers(1, 4, 2))
    if kernel == (1, 1):  # which XNNPACK refuses
        kernel = (2, 2)
    size = tuple(int(rng.integers(1, 4)) * taps + int(rng.integers(taps)) for taps in kernel)
    content, shapes = segmenter(rng, size, kernel)
    x = rng.integers(-3, 3, (1, *size, CHANNELS)).astype(np.float32)
    wanted = litert(content, x, shapes)
    program = loaded(content, tmp_path)
    for one, other in zip(edgebn.Session(program).run(x).values(), wanted, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= 1e-5 * max(1.0, np.abs(other).max())
    if seed < 2:
        check(program, tmp_path / "c", "host", x)


def test_same_padding_of_an_image_that_windows_divide_is_none(tmp_path):
    """LiteRT takes VALID alone in MaxUnpooling2D, MediaPipe's own kernel both."""
    x = np.random.default_rng(7).normal(0, 1, (1, 4, 6, CHANNELS)).astype(np.float32)
    one, other = (
        edgebn.Session(loaded(segmenter(np.random.default_rng(1), (4, 6), (2, 2), padding)[0], tmp_path)).run(x).values()
        for padding in (SAME, VALID)
    )
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (segmenter(np.random.default_rng(0), (5, 6), (2, 2), SAME)[0], UnsupportedLayerError, "pad an image"),
        (segmenter(np.random.default_rng(0), (6, 6), (3, 3), VALID, (2, 2))[0], UnsupportedLayerError, "overlap"),
        (segmenter(np.random.default_rng(0), (4, 4), (2, 2), 7)[0], ModelError, "damaged"),
        (segmenter(np.random.default_rng(0), (4, 4), (2, 2), order=False)[0], UnsupportedLayerError, "MaxPoolingWithArgmax2D"),
        (transposed(np.random.default_rng(0), (4, 4), (2, 2), (0, 2), True, (8, 8)), ModelError, "strides"),
    ],
)
def test_refused(content, error, words, tmp_path):
    with pytest.raises(error, match=words):
        loaded(content, tmp_path)
