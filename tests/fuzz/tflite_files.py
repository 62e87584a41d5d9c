"""Damage to TensorFlow Lite files: bytes, operator wiring (cycles included), options, shapes, quantisation, constants."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.formats.tflite.tflite_detections import add_detections
from tests.formats.tflite.tflite_models import FileBuilder
from tests.fuzz import damage


def _network(rng: np.random.Generator, dtype: type) -> bytes:
    file = FileBuilder()
    quantized = dtype is not np.float32
    wide = dtype is np.int16  # with weights of 8 bits and biases of 64
    lift = 128 if dtype is np.uint8 else 0
    scale = {"scale": 0.05 / (256 if wide else 1), "zero_point": 0 if wide else 3 + lift} if quantized else {}
    soft = {"scale": 1 / 32768, "zero_point": 0} if wide else {"scale": 1 / 256, "zero_point": -128 + lift}

    def value(*shape: int) -> int:
        return file.value((1, *shape), dtype, **scale)

    def weight(*shape: int, axis: int = 0) -> tuple[int, int]:
        channels = shape[axis]
        if not quantized:
            draw = rng.normal(0, 0.3, shape).astype(np.float32)
            return file.constant(draw), file.constant(np.zeros(channels, np.float32))
        if dtype is np.uint8:  # one scale, and a zero point that int8 cannot do without
            codes = rng.integers(0, 256, shape).astype(np.uint8)
            return file.constant(codes, 0.01, 90), file.constant(rng.integers(-900, 900, channels).astype(np.int32), 0.0005, 0)
        scales = rng.uniform(0.005, 0.02, channels)
        codes = rng.integers(-127, 128, shape).astype(np.int8)
        bias = rng.integers(-900, 900, channels).astype(np.int64 if wide else np.int32)
        return file.constant(codes, scales, 0, axis), file.constant(bias, scales * scale["scale"], 0, 0)

    x, a, b, c, d, e, f, g, y = (
        value(8, 8, 3), value(8, 8, 4), value(8, 8, 4), value(8, 8, 4), value(4, 4, 4), value(6, 6, 4),
        value(144), value(5), file.value((1, 5), dtype, **(soft if quantized else {})),
    )  # fmt: skip
    file.operator("CONV_2D", (x, *weight(4, 3, 3, 3)), [a], "Conv2DOptions", strideH=1, strideW=1, padding=0)
    file.operator(
        "DEPTHWISE_CONV_2D", (a, *weight(1, 3, 3, 4, axis=3)), [b], "DepthwiseConv2DOptions",
        strideH=1, strideW=1, padding=0, depthMultiplier=1, fusedActivationFunction=1,
    )  # fmt: skip
    file.operator("ADD", (a, b), [c], "AddOptions")
    pool = {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2, "padding": 1}
    file.operator("MAX_POOL_2D", [c], [d], "Pool2DOptions", **pool)
    pads = file.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    file.operator("PAD", (d, pads), [e], "PadOptions")
    shape = file.constant(np.array([-1, 144], np.int32))
    file.operator("RESHAPE", (e, shape), [f], "ReshapeOptions", newShape=[-1, 144])
    file.operator("FULLY_CONNECTED", (f, *weight(5, 144)), [g], "FullyConnectedOptions")
    file.operator("SOFTMAX", [g], [y], "SoftmaxOptions", beta=1.0)
    return file.bytes([x], [y])


def _with_states(rng: np.random.Generator, dtype: type) -> bytes:
    """A window over the rows of the last calls."""
    file = FileBuilder()
    scale = {"scale": 0.05, "zero_point": 3} if dtype is np.int8 else {}
    x, before, window, after, y = (file.value((1, rows, 4, 2), dtype, **scale) for rows in (1, 2, 3, 2, 3))
    handle = file.variable("rows", file.constant(rng.integers(-9, 9, (1, 2, 4, 2)).astype(dtype), **scale))
    file.operator("READ_VARIABLE", [handle], [before], "ReadVariableOptions")
    file.operator("CONCATENATION", (before, x), [window], "ConcatenationOptions", axis=1)
    numbers = (file.constant(np.array(row, np.int32)) for row in ((0, 1, 0, 0), (1, 2, 4, 2)))
    file.operator("SLICE", (window, *numbers), [after], "SliceOptions")
    file.operator("ASSIGN_VARIABLE", (handle, after), [], "AssignVariableOptions")
    file.operator("RELU", [window], [y])
    return file.bytes([x], [y])


def _with_a_float_end(rng: np.random.Generator, dtype: type) -> bytes:
    """A convolution of codes, then a softmax in float32, which is quantised again for a second output."""
    file = FileBuilder()
    lift = 128 if dtype is np.uint8 else 0
    x, y = (file.value((1, 4, 4, size), dtype, 0.05, 3 + lift) for size in (3, 2))
    real, soft = (file.value((1, 4, 4, 2), np.float32) for _ in range(2))
    again = file.value((1, 4, 4, 2), dtype, 1 / 256, -128 + lift)
    weight = file.constant((rng.integers(-127, 128, (2, 1, 1, 3)) + lift).astype(dtype), 0.01, lift)
    bias = file.constant(rng.integers(-300, 300, 2).astype(np.int32), 0.0005, 0)
    file.operator("CONV_2D", [x, weight, bias], [y], "Conv2DOptions", strideH=1, strideW=1, padding=1)
    file.operator("DEQUANTIZE", [y], [real], "DequantizeOptions")
    file.operator("SOFTMAX", [real], [soft], "SoftmaxOptions", beta=1.0)
    file.operator("QUANTIZE", [soft], [again], "QuantizeOptions")
    return file.bytes([x], [soft, again])


def _with_detections(rng: np.random.Generator, dtype: type) -> bytes:
    """Boxes and scores behind a sigmoid, picked by the custom operator: of real numbers, or of codes."""
    file = FileBuilder()
    quantized = dtype is np.uint8
    codes, logits, scores = (
        file.value((1, 6, size), dtype, *(pair if quantized else ()))
        for size, pair in ((4, (0.09, 130)), (3, (0.05, 128)), (3, (1 / 256, 0)))
    )
    file.operator("LOGISTIC", [logits], [scores])
    options = {"nms_score_threshold": 0.3, "use_regular_nms": bool(rng.integers(2)), "detections_per_class": 3}
    return file.bytes([codes, logits], add_detections(file, rng, codes, scores, 6, 2, 4, 1, **options))


def seeds() -> list[bytes]:
    kinds = [
        *((_network, dtype) for dtype in (np.float32, np.int8, np.uint8, np.int16)),
        *((_with_states, dtype) for dtype in (np.float32, np.int8)),
        *((_with_a_float_end, dtype) for dtype in (np.int8, np.uint8)),
        *((_with_detections, dtype) for dtype in (np.float32, np.uint8)),
    ]
    return [make(np.random.default_rng(seed), dtype) for seed in range(2) for make, dtype in kinds]


def _mutate_operator(graph: schema.SubGraphT, rng: np.random.Generator) -> None:
    operator = graph.operators[int(rng.integers(len(graph.operators)))]
    index = int(rng.choice([-2, -1, 0, len(graph.tensors) - 1, len(graph.tensors), 2**31 - 1, rng.integers(len(graph.tensors))]))
    kind = rng.integers(5)
    if kind == 0:
        operator.inputs = [*operator.inputs] or [index]
        operator.inputs[int(rng.integers(len(operator.inputs)))] = index
    elif kind == 1:
        operator.outputs = [index]
    elif kind == 2:
        operator.opcodeIndex = int(rng.integers(0, 12))
    elif kind == 3:
        operator.inputs = list(operator.inputs)[: int(rng.integers(3))]
    elif operator.customOptions is not None:
        operator.customOptions = np.frombuffer(damage.bytes_at_random(bytes(operator.customOptions), rng), np.uint8)
    elif operator.builtinOptions is not None:
        numbers = [name for name, value in vars(operator.builtinOptions).items() if type(value) in (int, float)]
        if numbers:
            name = numbers[int(rng.integers(len(numbers)))]
            wide = isinstance(getattr(operator.builtinOptions, name), int) and "stride" in name.lower()
            setattr(operator.builtinOptions, name, int(rng.choice([-1, 0, 1, 5, 2**31 - 1] if wide else [0, 1, 5])))


def _mutate_tensor(model: schema.ModelT, rng: np.random.Generator) -> None:
    tensors = model.subgraphs[int(rng.integers(len(model.subgraphs)))].tensors
    tensor = tensors[int(rng.integers(len(tensors)))]
    kind = rng.integers(6)
    if kind == 0:
        tensor.shape = [1] if tensor.shape is None or not len(tensor.shape) else list(tensor.shape)
        tensor.shape[int(rng.integers(len(tensor.shape)))] = int(rng.choice([-1, 0, 1, 7, 2**20, 2**31 - 1]))
    elif kind == 1:
        tensor.type = int(rng.integers(0, 20))
    elif kind == 2:
        tensor.buffer = int(rng.integers(0, len(model.buffers) + 3))
    elif kind == 3 and tensor.quantization is not None and tensor.quantization.scale is not None:
        scales = list(tensor.quantization.scale)
        scales[int(rng.integers(len(scales)))] = float(rng.choice([0.0, -1.0, np.nan, np.inf, 1e-45, 3e38]))
        tensor.quantization.scale = scales[: int(rng.integers(1, len(scales) + 1))]
    elif kind == 4 and tensor.quantization is not None:
        tensor.quantization.zeroPoint = [int(rng.choice([-(2**63), -129, 128, 2**40]))]
    else:
        buffer = model.buffers[int(rng.integers(1, len(model.buffers)))]
        data = np.array(buffer.data, np.uint8)
        if data.size % 4 == 0 and rng.integers(2):
            buffer.data = damage.poisoned(data.view(np.float32), rng).view(np.uint8)
        else:
            buffer.data = data[: int(rng.integers(data.size + 1))]


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.integers(3) == 0:
        return damage.bytes_at_random(content, rng)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for _ in range(int(rng.integers(1, 3))):
        if rng.integers(2):
            _mutate_operator(model.subgraphs[int(rng.integers(len(model.subgraphs)))], rng)
        else:
            _mutate_tensor(model, rng)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
