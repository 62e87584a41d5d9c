"""The table: one operator, one function. To read another operator, write its function in the file of its family and add a row.

Operators stand here without their namespace and overload: 'add' is aten.add.Tensor, aten.add.Scalar and, in place, aten.add_.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebn.formats.torch import (
    activations,
    arithmetic,
    convolutions,
    indexing,
    normalization,
    own_statistics,
    pooling,
    resize,
    shapes,
)
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Value

Reader = Callable[[Node, Context], Value | tuple[Value, ...]]

OPERATORS: dict[str, Reader] = {
    "_adaptive_avg_pool2d": pooling.adaptive_avg_pool,
    "_batch_norm_no_update": normalization.batch_norm_outputs,
    "_native_batch_norm_legit": normalization.batch_norm_outputs,
    "_native_batch_norm_legit_no_training": normalization.batch_norm_outputs,
    "_prelu_kernel": activations.prelu,
    "_softmax": activations.softmax,
    "_to_copy": normalization.clone,
    "_unsafe_view": shapes.reshape,
    "_upsample_nearest_exact1d": resize.upsample_nearest_exact,
    "_upsample_nearest_exact2d": resize.upsample_nearest_exact,
    "adaptive_avg_pool1d": pooling.adaptive_avg_pool,
    "adaptive_avg_pool2d": pooling.adaptive_avg_pool,
    "adaptive_max_pool1d": pooling.adaptive_max_pool,
    "adaptive_max_pool2d": pooling.adaptive_max_pool,
    "add": arithmetic.add,
    "addmm": convolutions.addmm,
    "alias": normalization.alias,
    "amax": pooling.amax,
    "avg_pool1d": pooling.avg_pool,
    "avg_pool2d": pooling.avg_pool,
    "batch_norm": normalization.batch_norm,
    "cat": shapes.cat,
    "channel_shuffle": shapes.channel_shuffle,
    "chunk": indexing.split,
    "clamp": activations.clamp,
    "clamp_max": activations.clamp,
    "clamp_min": activations.clamp,
    "clone": normalization.clone,
    "concat": shapes.cat,
    "constant_pad_nd": shapes.pad,
    "contiguous": normalization.same,
    "conv1d": convolutions.conv,
    "conv2d": convolutions.conv,
    "conv_transpose1d": convolutions.conv_transpose,
    "conv_transpose2d": convolutions.conv_transpose,
    "convolution": convolutions.convolution,
    "detach": normalization.alias,
    "div": arithmetic.div,
    "dropout": normalization.dropout,
    "expand": shapes.expand,
    "expand_as": shapes.expand,
    "feature_dropout": normalization.dropout,
    "flatten": shapes.flatten,
    "hardsigmoid": activations.hardsigmoid,
    "hardswish": activations.hardswish,
    "hardtanh": activations.hardtanh,
    "group_norm": own_statistics.group_norm,
    "index": indexing.index,
    "index_select": indexing.index_select,
    "instance_norm": own_statistics.instance_norm,
    "layer_norm": own_statistics.layer_norm,
    "leaky_relu": activations.leaky_relu,
    "linear": convolutions.linear,
    "mT": shapes.transpose,
    "matmul": convolutions.matmul,
    "max": pooling.max_values,
    "max_pool1d": pooling.max_pool,
    "max_pool2d": pooling.max_pool,
    "max_pool2d_with_indices": pooling.max_pool,
    "mean": pooling.mean,
    "mm": convolutions.matmul,
    "moveaxis": shapes.transpose,
    "movedim": shapes.transpose,
    "mul": arithmetic.mul,
    "multiply": arithmetic.mul,
    "narrow": indexing.narrow,
    "native_batch_norm": normalization.batch_norm_outputs,
    "native_channel_shuffle": shapes.channel_shuffle,
    "native_group_norm": own_statistics.group_norm,
    "native_layer_norm": own_statistics.layer_norm,
    "neg": arithmetic.neg,
    "numpy_T": shapes.transpose,
    "pad": shapes.pad,
    "permute": shapes.transpose,
    "pixel_shuffle": shapes.pixel_shuffle,
    "pixel_unshuffle": shapes.pixel_unshuffle,
    "prelu": activations.prelu,
    "ravel": shapes.ravel,
    "relu": activations.relu,
    "relu6": activations.relu6,
    "reshape": shapes.reshape,
    "reshape_as": shapes.reshape_as,
    "rms_norm": own_statistics.rms_norm,
    "rsub": arithmetic.rsub,
    "select": indexing.select,
    "sigmoid": activations.sigmoid,
    "silu": activations.silu,
    "slice": indexing.slice_,
    "softmax": activations.softmax,
    "split": indexing.split,
    "split_with_sizes": indexing.split,
    "squeeze": shapes.squeeze,
    "stack": shapes.stack,
    "sub": arithmetic.sub,
    "swapaxes": shapes.transpose,
    "swapdims": shapes.transpose,
    "t": shapes.transpose,
    "tanh": activations.tanh,
    "to": normalization.same,
    "transpose": shapes.transpose,
    "unbind": indexing.unbind,
    "unflatten": shapes.unflatten,
    "unsafe_chunk": indexing.split,
    "unsafe_split": indexing.split,
    "unsafe_split_with_sizes": indexing.split,
    "unsqueeze": shapes.unsqueeze,
    "upsample_bilinear2d": resize.upsample_linear,
    "upsample_linear1d": resize.upsample_linear,
    "upsample_nearest1d": resize.upsample_nearest,
    "upsample_nearest2d": resize.upsample_nearest,
    "view": shapes.reshape,
    "view_as": shapes.reshape_as,
}

# Their results are views: they share the memory of their input.
VIEWS = (
    "_unsafe_view", "chunk", "expand", "expand_as", "flatten", "mT", "moveaxis", "movedim", "narrow", "numpy_T", "permute", "ravel",
    "reshape", "reshape_as", "select", "slice", "split", "split_with_sizes", "squeeze", "swapaxes", "swapdims", "t", "transpose",
    "unbind", "unflatten", "unsqueeze", "view", "view_as",
)  # fmt: skip


def base_name(op: str) -> tuple[str, bool]:
    """Return an operator's row in the table, and whether it works in place: 'aten.relu_.default' is ('relu', True)."""
    parts = op.split(".")
    name = parts[1] if len(parts) > 1 and parts[0] == "aten" else op
    in_place = name.endswith("_") and not name.endswith("__")
    return name.removesuffix("_") if in_place else name, in_place
