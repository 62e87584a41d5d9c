"""The table: one operator, one function. To read another operator, write its function in the file of its family and add a row."""

from __future__ import annotations

from collections.abc import Callable

from edgebn.formats.onnx import (
    activations,
    arithmetic,
    convolutions,
    normalization,
    own_statistics,
    pooling,
    quantized,
    resize,
    shapes,
)
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Value

Reader = Callable[[Node, Context], Value | tuple[Value, ...]]

OPERATORS: dict[str, Reader] = {
    "Add": arithmetic.add,
    "AveragePool": pooling.average_pool,
    "BatchNormalization": normalization.batch_normalization,
    "Cast": normalization.cast,
    "Clip": activations.clip,
    "Concat": shapes.concat,
    "Conv": convolutions.conv,
    "ConvTranspose": convolutions.conv_transpose,
    "DepthToSpace": shapes.depth_to_space,
    "DequantizeLinear": quantized.dequantize_linear,
    "Div": arithmetic.div,
    "Dropout": normalization.dropout,
    "Expand": shapes.expand,
    "Flatten": shapes.flatten,
    "Gather": shapes.gather,
    "Gemm": convolutions.gemm,
    "GlobalAveragePool": pooling.global_average_pool,
    "GlobalMaxPool": pooling.global_max_pool,
    "GroupNormalization": own_statistics.group_normalization,
    "HardSigmoid": activations.hard_sigmoid,
    "HardSwish": activations.hard_swish,
    "Identity": normalization.identity,
    "InstanceNormalization": own_statistics.instance_normalization,
    "LayerNormalization": own_statistics.layer_normalization,
    "LeakyRelu": activations.leaky_relu,
    "MatMul": convolutions.matmul,
    "Max": activations.limit,
    "MaxPool": pooling.max_pool,
    "Mean": arithmetic.mean,
    "Min": activations.limit,
    "Mul": arithmetic.mul,
    "Neg": arithmetic.negative,
    "PRelu": activations.prelu,
    "Pad": shapes.pad,
    "QGemm": quantized.qgemm,
    "QLinearAdd": quantized.qlinear_add,
    "QLinearAveragePool": quantized.qlinear_average_pool,
    "QLinearConcat": quantized.qlinear_concat,
    "QLinearConv": quantized.qlinear_conv,
    "QLinearGlobalAveragePool": quantized.qlinear_global_average_pool,
    "QLinearLeakyRelu": quantized.qlinear_leaky_relu,
    "QLinearMatMul": quantized.qlinear_matmul,
    "QLinearMul": quantized.qlinear_mul,
    "QLinearReduceMean": quantized.qlinear_reduce_mean,
    "QLinearSigmoid": quantized.qlinear_sigmoid,
    "QLinearSoftmax": quantized.qlinear_softmax,
    "QuantizeLinear": quantized.quantize_linear,
    "RMSNormalization": own_statistics.rms_normalization,
    "ReduceMax": pooling.reduce_max,
    "ReduceMean": pooling.reduce_mean,
    "ReduceMin": pooling.reduce_min,
    "ReduceSum": pooling.reduce_sum,
    "Relu": activations.relu,
    "Reshape": shapes.reshape,
    "Resize": resize.resize,
    "Shape": shapes.shape,
    "Sigmoid": activations.sigmoid,
    "Size": shapes.size,
    "Slice": shapes.slice_,
    "Softmax": normalization.softmax,
    "SpaceToDepth": shapes.space_to_depth,
    "Split": shapes.split,
    "Squeeze": shapes.squeeze,
    "Sub": arithmetic.sub,
    "Sum": arithmetic.total,
    "Swish": activations.swish,
    "Tanh": activations.tanh,
    "Tile": shapes.tile,
    "Transpose": shapes.transpose,
    "Unsqueeze": shapes.unsqueeze,
    "Upsample": resize.upsample,
}

# These are read from constants too, and keep the integers behind a quantised weight.
ALSO_ON_CONSTANTS = ("DequantizeLinear", "QuantizeLinear", "Shape", "Size")
