"""TensorFlow Lite weights of 4 bits, and int8 weights of float32 layers (dynamic range) in every operator that has weights."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert.interpreter import OpResolverType

from edgebn import reference
from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite import read
from edgebn.passes import lower
from tests.formats.tflite.test_litert import litert_runs, relative_error
from tests.formats.tflite.tflite_models import FileBuilder, schema

RNG = np.random.default_rng(5)
SIZES = {"padding": 0, "strideH": 1, "strideW": 1}
# Operator: the input's shape, the weight's, along which axis its outputs run, the output's, options.
WEIGHTED = {
    "CONV_2D": ((1, 6, 6, 2), (5, 3, 3, 2), 0, (1, 6, 6, 5), "Conv2DOptions", SIZES),
    "DEPTHWISE_CONV_2D": ((1, 6, 6, 3), (1, 3, 3, 3), 3, (1, 6, 6, 3), "DepthwiseConv2DOptions", {**SIZES, "depthMultiplier": 1}),
    "TRANSPOSE_CONV": ((1, 5, 5, 2), (3, 3, 3, 2), 0, (1, 5, 5, 3), "TransposeConvOptions", SIZES),
    "FULLY_CONNECTED": ((1, 7), (5, 7), 0, (1, 5), "FullyConnectedOptions", {}),
    "BATCH_MATMUL": ((1, 4, 6, 5), (1, 4, 5, 3), None, (1, 4, 6, 3), "BatchMatMulOptions", {}),
}


def packed(files, codes, scales, axis):
    """Add a constant of 4-bit codes, two a byte, the first in the lower half; returns its index."""
    index = files.constant(codes.astype(np.int8), scales, 0, axis or 0)
    flat = np.append(codes.reshape(-1), np.zeros(codes.size % 2)).astype(np.int8).view(np.uint8) & 15
    files.tensors[index].type = schema.TensorType.INT4
    files.buffers[files.tensors[index].buffer].data = flat[::2] | flat[1::2] << 4
    return index


def network(operator, weight, bias=None):
    """Return a float32 file of one operator; `weight` adds its constant to the file builder."""
    shape, _, _, out, options, settings = WEIGHTED[operator]
    files = FileBuilder()
    x = files.value(shape, np.float32)
    y = files.value(out, np.float32)
    given = (weight(files), x) if operator == "TRANSPOSE_CONV" else (x, weight(files))
    inputs = [files.constant(np.array(out, np.int32)), *given] if operator == "TRANSPOSE_CONV" else [*given]
    if bias is not None and operator != "BATCH_MATMUL":
        inputs.append(files.constant(bias))
    files.operator(operator, inputs, [y], options, **settings)
    return files.bytes([x], [y])


def drawn(operator, low, high):
    _, shape, axis, out, _, _ = WEIGHTED[operator]
    codes = RNG.integers(low, high, shape)
    scales = RNG.uniform(0.01, 0.1, 1 if axis is None else shape[axis]).astype(np.float32)
    along = [1] * len(shape)
    if axis is not None:
        along[axis] = -1
    real = codes.astype(np.float32) * scales.reshape(along)
    return codes, scales, axis, real, RNG.normal(0, 1, out[-1]).astype(np.float32)


@pytest.mark.parametrize("operator", WEIGHTED)
@pytest.mark.parametrize("bits", [4, 8])
def test_float_layers_of_stored_integers_are_those_of_the_real_numbers(operator, bits, tmp_path):
    """LiteRT rounds the activations of such a layer as it runs, so its layer of float32 weights is compared."""
    codes, scales, axis, real, bias = drawn(operator, *((-7, 8) if bits == 4 else (-127, 128)))

    def stored(files):
        return packed(files, codes, scales, axis) if bits == 4 else files.constant(codes.astype(np.int8), scales, 0, axis or 0)

    path = tmp_path / "model.tflite"
    path.write_bytes(network(operator, stored, bias))
    x = RNG.normal(0, 1, (3, *WEIGHTED[operator][0][1:])).astype(np.float32)
    wanted = litert_runs(network(operator, lambda files: files.constant(real), bias), x)
    assert relative_error(reference.run(lower(read(path)), x), wanted) <= 1e-5


@pytest.mark.parametrize("operator", ["CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"])
def test_int8_layers_with_weights_of_4_bits(operator, tmp_path):
    """The bytes of LiteRT's reference kernels, which have the same file with its weights in int8 to compare with."""
    shape, _, _, out, options, settings = WEIGHTED[operator]
    codes, scales, axis, _, _ = drawn(operator, -7, 8)
    bias = RNG.integers(-300, 300, out[-1]).astype(np.int32)
    contents = []
    for bits in (4, 8):
        files = FileBuilder()
        x, y = files.value(shape, np.int8, 0.05, 3), files.value(out, np.int8, 0.2, -9)
        weight = packed(files, codes, scales, axis) if bits == 4 else files.constant(codes.astype(np.int8), scales, 0, axis)
        inputs = [x, weight, files.constant(bias, np.float32(0.05) * scales, 0)]
        files.operator(operator, inputs, [y], options, **settings)
        contents.append(files.bytes([x], [y]))
    path = tmp_path / "model.tflite"
    path.write_bytes(contents[0])
    x = RNG.integers(-128, 128, (3, *shape[1:])).astype(np.int8)
    wanted = litert_runs(contents[1], x, OpResolverType.BUILTIN_REF)
    np.testing.assert_array_equal(reference.run(lower(read(path)), x), wanted)


def test_4_bits_of_another_length_are_damage(tmp_path):
    codes, scales, axis, *_ = drawn("FULLY_CONNECTED", -7, 8)

    def cut(files):
        index = packed(files, codes, scales, axis)
        buffer = files.buffers[files.tensors[index].buffer]
        buffer.data = buffer.data[:-1]
        return index

    path = tmp_path / "model.tflite"
    path.write_bytes(network("FULLY_CONNECTED", cut))
    with pytest.raises(ModelError, match=r"constant_2.*bytes of 4-bit numbers; the file is damaged"):
        read(path)


def test_composed_operators_in_int8_are_refused(tmp_path):
    files = FileBuilder()
    x, y = files.value((1, 4, 5), np.int8, 0.1, 0), files.value((1, 1, 5), np.int8, 0.1, 0)
    files.operator("REDUCE_PROD", [x, files.constant(np.array([1], np.int32))], [y], "ReducerOptions", keepDims=True)
    path = tmp_path / "model.tflite"
    path.write_bytes(files.bytes([x], [y]))
    with pytest.raises(UnsupportedLayerError, match=r"REDUCE_PROD.*leave it out of the quantisation"):
        read(path)
