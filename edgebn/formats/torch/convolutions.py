"""Convolutions and products with constant matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgebn.formats import products, volumes
from edgebn.formats.channels_first import convolution_kernel, pair, transposed_kernel
from edgebn.formats.torch import windows
from edgebn.formats.torch.arithmetic import combine, scaled
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Codes, Dynamic, Static
from edgebn.graph import MAX_TENSOR_ELEMENTS
from edgebn.layers import Add, Convolution, Dense, MatMul, TransposedConvolution


def conv(node: Node, context: Context) -> Dynamic:
    """conv1d and conv2d: cross-correlation, weight (O, I / groups, kh, kw); padding is numbers, 'same' or 'valid'."""
    x, weight = node.dynamic("input"), _kernel(node)
    count = len(windows.spatial(node, x))
    _check_rank(node, x, weight)
    dilations = node.per_axis("dilation", count, 1)
    stated = node.arguments.get("padding")
    if stated == "same":
        padding = windows.same(weight.shape[2:], dilations)
    elif stated == "valid":
        padding = (0, 0, 0, 0)
    else:
        pads = node.per_axis("padding", count, 0)
        padding = windows.sides(pads, pads)
    bias = node.optional_weight("bias")
    codes = node.weight_codes("weight") if context.integer else None
    fields: dict[str, Any] = {
        "strides": pair(node.per_axis("stride", count, 1), 1),
        "dilations": pair(dilations, 1),
        "padding": padding,
        "channels_first": True,
    }

    def build(image: Dynamic, part: str, copies: int) -> Dynamic:
        if weight.size * copies > MAX_TENSOR_ELEMENTS:
            raise node.refuse(
                f"it runs on {copies} images side by side in every sample, which are too many; fold fewer into the batch"
            )
        kernel = weight if codes is None or copies > 1 else codes.array
        return context.emit(
            node,
            Convolution,
            image,
            part=part,
            weight=np.tile(convolution_kernel(kernel), (copies, 1, 1, 1)),
            weight_quantization=None if kernel is weight or codes is None else codes.quantization,
            bias=None if bias is None else np.tile(bias, copies),
            groups=copies * node.integer("groups", 1),
            **fields,
        )

    return context.on_images(node, x, build)


def conv_over_three(node: Node, context: Context) -> Dynamic:
    """conv3d: weight (O, I / groups, depth, kh, kw)."""
    weight, dilations = node.weight("weight"), node.per_axis("dilation", 3, 1)
    if weight.ndim != 5:
        raise node.damaged(f"its weight has shape {weight.shape}; it should have 5 axes")
    stated = node.arguments.get("padding")
    if stated == "same":
        totals = tuple(dilation * (size - 1) for size, dilation in zip(weight.shape[2:], dilations, strict=True))
        befores = tuple(total // 2 for total in totals)
        afters = tuple(total - before for total, before in zip(totals, befores, strict=True))
    else:
        befores = afters = (0, 0, 0) if stated == "valid" else node.per_axis("padding", 3, 0)
    box: Any = volumes.Box(weight.shape[2:], node.per_axis("stride", 3, 1), dilations, befores, afters)
    groups, bias = node.integer("groups", 1), node.optional_weight("bias")
    made: Dynamic = volumes.convolved(node, context, node.dynamic("input"), weight, bias, groups, box)
    return made


def conv_transpose(node: Node, context: Context) -> Dynamic:
    """conv_transpose1d and conv_transpose2d: weight (I, O / groups, kh, kw)."""
    x, weight = context.image(node, node.dynamic("input")), _kernel(node)
    count = len(windows.spatial(node, x))
    _check_rank(node, x, weight)
    groups = node.integer("groups", 1)
    if groups < 1 or weight.shape[0] % groups:
        raise node.damaged(f"its weight of shape {weight.shape} cannot be split into {groups} groups")
    pads = node.per_axis("padding", count, 0)
    return context.emit(
        node,
        TransposedConvolution,
        x,
        weight=transposed_kernel(weight, groups),
        bias=node.optional_weight("bias"),
        strides=pair(node.per_axis("stride", count, 1), 1),
        dilations=pair(node.per_axis("dilation", count, 1), 1),
        padding=windows.sides(pads, pads),
        output_padding=pair(node.per_axis("output_padding", count, 0), 0),
        groups=groups,
        channels_first=True,
    )


def convolution(node: Node, context: Context) -> Dynamic:
    """Convolution or transposed convolution: what both become in a decomposed program."""
    if node.flag("transposed", default=False):
        return conv_transpose(node, context)
    return conv_over_three(node, context) if node.weight("weight").ndim == 5 else conv(node, context)


def _kernel(node: Node) -> np.ndarray:
    weight = node.weight("weight")
    if weight.ndim not in (3, 4) or 0 in weight.shape:
        raise node.damaged(f"its weight has shape {weight.shape}; it should have 3 or 4 axes, none of them empty")
    return weight


def _check_rank(node: Node, x: Dynamic, weight: np.ndarray) -> None:
    if weight.ndim != len(x.shape):
        raise node.refuse(f"its weight of shape {weight.shape} does not fit an input of shape {x.shape}; give inputs a batch axis")


def linear(node: Node, context: Context) -> Dynamic:
    """linear: weight (outputs, inputs), over the last axis."""
    weight, codes = node.weight("weight"), node.weight_codes("weight") if context.integer else None
    return _dense(node, context, node.dynamic("input"), weight, node.optional_weight("bias"), codes)


def matmul(node: Node, context: Context) -> Dynamic:
    """Product (matmul, mm, bmm) of a value by a constant matrix (inputs, outputs), or of two values."""
    first = "self" if node.has("self") else "input"
    second = "other" if node.has("other") else "mat2"
    if isinstance(node.value(second), Dynamic) and isinstance(node.value(first), Dynamic):
        a, b, place = context.multiplied(node, node.dynamic(first), node.dynamic(second))
        return context.emit(node, MatMul, a, b, place=place)
    if isinstance(node.value(first), Static):
        made: Dynamic = products.multiplied(node, context, node.weight(first), node.dynamic(second))
        return made
    x, matrix = node.dynamic(first), node.weight(second)
    if matrix.ndim > 2 and np.broadcast_shapes(x.shape[:-2], matrix.shape[:-2]) == x.shape[:-2]:
        each = matrix.reshape(-1, *matrix.shape[-2:])
        matrix = each[0] if (each == each[:1]).all() else matrix  # one expanded, as decomposed programs write a Linear
    if matrix.ndim != 2:
        stacked: Dynamic = products.multiplied(node, context, x, matrix)
        return stacked
    return _dense(node, context, x, matrix.T, None)


def baddbmm(node: Node, context: Context) -> Dynamic:
    """baddbmm: beta * self + alpha * batch1 @ batch2."""
    a, b = (node.dynamic(name) if isinstance(node.value(name), Dynamic) else node.weight(name) for name in ("batch1", "batch2"))
    product = products.multiplied(node, context, a, b, "product")
    product = scaled(node, context, product, node.number("alpha", 1.0), "product")
    other = node.value("self")
    beta = node.number("beta", 1.0)
    if isinstance(other, Dynamic):
        return combine(node, context, Add, product, scaled(node, context, other, beta, "self"))
    return combine(node, context, Add, product, np.asarray(node.weight("self") * np.float32(beta)))


def einsum(node: Node, context: Context) -> Dynamic:
    """Einsum of two operands."""
    values = node.values("tensors")
    if len(values) != 2:
        raise node.refuse(f"it multiplies {len(values)} operands; edgebn runs sums of products of two")
    a, b = (value if isinstance(value, Dynamic) else np.asarray(value.array, np.float32) for value in values)
    made: Dynamic = products.einsum(node, context, node.text("equation", ""), a, b)
    return made


def attention(node: Node, context: Context) -> Dynamic:
    """scaled_dot_product_attention, as the product, softmax and product that it is."""
    if node.number("dropout_p", 0.0) or (node.has("enable_gqa") and node.flag("enable_gqa")):
        raise node.refuse("it drops scores or shares heads (enable_gqa); edgebn runs attention of equal heads at inference")
    query, key, value = (node.dynamic(name) for name in ("query", "key", "value"))
    scale = node.number("scale") if node.has("scale") else 1 / math.sqrt(query.shape[-1])
    stated = node.value("attn_mask") if node.has("attn_mask") else None
    mask = stated.array if isinstance(stated, Static) else stated
    made: Dynamic = products.attention(node, context, query, key, value, mask, scale, causal=node.flag("is_causal", default=False))
    return made


def addmm(node: Node, context: Context) -> Dynamic:
    """addmm: beta * self + alpha * mat1 @ mat2."""
    x, matrix = node.dynamic("mat1"), node.weight("mat2") * np.float32(node.number("alpha", 1.0))
    if matrix.ndim != 2:
        raise node.damaged(f"its second factor has shape {matrix.shape}")
    beta = node.number("beta", 1.0)
    if isinstance(node.value("self"), Dynamic):
        product = context.emit(node, Dense, x, part="product", weight=np.ascontiguousarray(matrix.T))
        return combine(node, context, Add, product, scaled(node, context, node.dynamic("self"), beta, "self"))
    return _dense(node, context, x, matrix.T, node.weight("self") * np.float32(beta))


def _dense(
    node: Node, context: Context, x: Dynamic, weight: np.ndarray, bias: np.ndarray | None, codes: Codes | None = None
) -> Dynamic:
    if not x.shape:
        raise node.damaged("its input has no axis to multiply along")
    x, _ = context.along(node, x, (-1,), "multiplies along")
    if bias is not None:
        if weight.ndim != 2 or bias.size not in (1, weight.shape[0]):
            raise node.damaged(f"its bias of shape {bias.shape} does not fit a weight of shape {weight.shape}")
        bias = np.broadcast_to(bias.reshape(-1), (weight.shape[0],)).copy()
    if codes is not None:
        return context.emit(node, Dense, x, weight=codes.array, bias=bias, weight_quantization=codes.quantization)
    return context.emit(node, Dense, x, weight=np.ascontiguousarray(weight), bias=bias)
