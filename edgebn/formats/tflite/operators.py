"""The table of operators: the schema's name to the function that reads it. A new operator is a new row."""

from __future__ import annotations

from collections.abc import Callable

from edgebn.formats.tflite import activations, arithmetic, composed, convolutions, detections, pooling, selecting, shapes, variables
from edgebn.formats.tflite.context import Reading
from edgebn.formats.tflite.flatbuffer import FileOperator

UNARY = ("abs", "ceil", "exp", "floor", "log", "round", "rsqrt", "sqrt", "square")

OPERATORS: dict[str, Callable[[Reading, FileOperator], None]] = {
    "CONV_2D": convolutions.conv_2d,
    "DEPTHWISE_CONV_2D": convolutions.depthwise_conv_2d,
    "TRANSPOSE_CONV": convolutions.transpose_conv,
    "FULLY_CONNECTED": convolutions.fully_connected,
    "ADD": arithmetic.add,
    "SUB": arithmetic.sub,
    "MUL": arithmetic.mul,
    "DIV": arithmetic.div,
    "BATCH_MATMUL": arithmetic.batch_matmul,
    "MAXIMUM": arithmetic.maximum,
    "MINIMUM": arithmetic.minimum,
    "SQUARED_DIFFERENCE": arithmetic.squared_difference,
    "CONCATENATION": arithmetic.concatenation,
    "MAX_POOL_2D": pooling.max_pool_2d,
    "AVERAGE_POOL_2D": pooling.average_pool_2d,
    "MEAN": pooling.mean,
    "REDUCE_MAX": pooling.reduce_max,
    "REDUCE_MIN": pooling.reduce_min,
    "SUM": pooling.sum_,
    "RESIZE_NEAREST_NEIGHBOR": pooling.resize_nearest,
    "RESIZE_BILINEAR": pooling.resize_bilinear,
    "RESHAPE": shapes.reshape,
    "SQUEEZE": shapes.squeeze,
    "EXPAND_DIMS": shapes.expand_dims,
    "TRANSPOSE": shapes.transpose,
    "PAD": shapes.pad,
    "PADV2": shapes.padv2,
    "SPACE_TO_DEPTH": shapes.space_to_depth,
    "DEPTH_TO_SPACE": shapes.depth_to_space,
    "SLICE": selecting.slice_,
    "STRIDED_SLICE": selecting.strided_slice,
    "SPLIT": selecting.split,
    "SPLIT_V": selecting.split_v,
    "UNPACK": selecting.unpack,
    "PACK": selecting.pack,
    "GATHER": selecting.gather,
    "TILE": selecting.tile,
    "BROADCAST_TO": selecting.broadcast_to,
    "MIRROR_PAD": selecting.mirror_pad,
    "REVERSE_V2": selecting.reverse,
    "RELU": activations.relu,
    "RELU6": activations.relu6,
    "RELU_N1_TO_1": activations.relu_n1_to_1,
    "RELU_0_TO_1": activations.relu_0_to_1,
    "LEAKY_RELU": activations.leaky_relu,
    "PRELU": activations.prelu,
    "LOGISTIC": activations.logistic,
    "TANH": activations.tanh,
    "HARD_SWISH": activations.hard_swish,
    **{name.upper(): activations.unary(name) for name in UNARY},
    **composed.ROWS,
    "ELU": activations.elu,
    "GELU": activations.gelu,
    "SOFTMAX": activations.softmax,
    "QUANTIZE": activations.quantize,
    "DENSIFY": activations.densify,
    "DEQUANTIZE": activations.dequantize,
    "CUSTOM TFLite_Detection_PostProcess": detections.detection_post_process,
    "CALL_ONCE": variables.call_once,
    "VAR_HANDLE": variables.var_handle,
    "READ_VARIABLE": variables.read_variable,
    "ASSIGN_VARIABLE": variables.assign_variable,
}

# What to do about operators that models meet often and edgebn does not run.
HINTS: dict[str, str] = {
    "CONV_3D": "edgebn runs 1-D and 2-D networks",
    "ARG_MAX": "end the model at the scores and take the argmax outside",
    "EMBEDDING_LOOKUP": "look values up outside the model",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "edgebn runs convolution networks; recurrent layers are not among its layers",
    "SPACE_TO_BATCH_ND": "edgebn runs it only around a dilated convolution; set dilation_rate in the layer",
    "BATCH_TO_SPACE_ND": "edgebn runs it only around a dilated convolution; set dilation_rate in the layer",
    "CAST": "give the model float32 or int8 inputs",
}
