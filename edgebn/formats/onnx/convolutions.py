"""Conv, ConvTranspose, Gemm and MatMul."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.formats import products, unfolding, volumes
from edgebn.formats.channels_first import convolution_kernel, transposed_kernel
from edgebn.formats.onnx import weights, windows
from edgebn.formats.onnx.arithmetic import combine
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static
from edgebn.layers import Add, Convolution, Dense, MatMul, Quantization, TransposedConvolution


def conv(node: Node, context: Context) -> Dynamic:
    """Conv: cross-correlation, weight (O, I / groups, kh, kw), or one over three axes."""
    if len(node.real(0).shape) == 5:
        return _over_three(node, context)
    array, quantization = weights.weight(node, context, 1, 2, outputs_axis=0)
    return convolve(
        node, context, node.real(0), array, quantization, weights.bias(node, context, 2, array.shape[0] if array.ndim else 0)
    )


def _over_three(node: Node, context: Context) -> Dynamic:
    weight = weights.real_array(node, node.static(1, "weight"), "weight")
    x, bias = node.real(0), node.optional_static(2, "bias")
    if weight.ndim != 5:
        raise node.damaged(f"its weight of shape {weight.shape} does not fit an input of shape {x.shape}")
    over, _ = windows.box(node, x.shape, weight.shape[2:])
    groups, biases = node.integer("group", 1), None if bias is None else weights.real_array(node, bias, "bias").reshape(-1)
    made: Dynamic = volumes.convolved(node, context, x, weight, biases, groups, over)
    return made


def convolve(
    node: Node,
    context: Context,
    x: Dynamic,
    weight: np.ndarray,
    quantization: Quantization | None,
    bias: np.ndarray | None,
    output_quantization: Quantization | None = None,
    shift: int = 0,
) -> Dynamic:
    """Append a convolution whose weight is in ONNX's order; shared by Conv and QLinearConv."""
    if weight.ndim != len(x.shape):
        raise node.damaged(f"its weight of shape {weight.shape} does not fit an input of shape {x.shape}")
    shape = windows.geometry(node, x.shape, node.integers("kernel_shape") or weight.shape[2:])
    if shape.kernel != windows.pair(weight.shape[2:], weight.ndim - 2, 1):
        raise node.damaged(f"its kernel_shape contradicts its weight of shape {weight.shape}")
    along = weights.along_outputs(node, quantization, 0, weight.shape[0])
    fields: dict[str, Any] = {
        "strides": shape.strides,
        "dilations": shape.dilations,
        "padding": shape.padding,
        "channels_first": True,
    }

    def build(image: Dynamic, part: str, copies: int) -> Dynamic:
        many, groups = weights.repeated(node, copies, weight, bias, along), copies * node.integer("group", 1)
        return context.emit(
            node,
            Convolution,
            image,
            part=part,
            quantization=output_quantization,
            shift=shift,
            weight=convolution_kernel(many.weight),
            bias=many.bias,
            groups=groups,
            weight_quantization=many.quantization,
            **fields,
        )

    return context.on_images(node, x, build)


def conv_transpose(node: Node, context: Context) -> Dynamic:
    """ConvTranspose: weight (I, O / groups, kh, kw); pads, output_shape or auto_pad give the size."""
    x = node.real(0)
    groups = node.integer("group", 1)
    weight, quantization = weights.weight(node, context, 1, 2, outputs_axis=1 if groups == 1 else None)
    x = context.image(node, x)
    sizes = windows.spatial(node, x.shape)
    if weight.ndim != len(x.shape) or 0 in weight.shape:
        raise node.damaged(f"its weight of shape {weight.shape} does not fit an input of shape {x.shape}")
    count = len(sizes)
    if groups < 1 or weight.shape[0] % groups:
        raise node.damaged(f"its weight of shape {weight.shape} cannot be split into {groups} groups")
    kernel = weight.shape[2:]
    strides, dilations, pads = windows.lists(node, count, kernel)
    padding, extra = _transposed_padding(node, sizes, kernel, strides, dilations, pads)
    outputs = weight.shape[1] * groups
    fields: dict[str, Any] = {
        "weight": transposed_kernel(weight, groups),
        "bias": weights.bias(node, context, 2, outputs),
        "strides": windows.pair(strides, count, 1),
        "dilations": windows.pair(dilations, count, 1),
        "groups": groups,
        "channels_first": True,
        "weight_quantization": weights.along_outputs(node, quantization, 1, outputs),
    }
    befores, afters = padding[:count], padding[count:]
    top, left = windows.pair(befores, count, 0)
    bottom, right = windows.pair(afters, count, 0)
    sides = (top, left, bottom, right)
    return context.emit(node, TransposedConvolution, x, padding=sides, output_padding=windows.pair(extra, count, 0), **fields)


def col2im(node: Node, context: Context) -> Dynamic:
    """Col2Im: an image of the sums of what windows hold for each pixel; of one spatial axis or two."""
    x = node.real(0)
    sizes, kernel = node.static_ints(1, "image_shape") or (), node.static_ints(2, "block_shape") or ()
    count = len(sizes)
    if count not in (1, 2) or len(kernel) != count or len(x.shape) != 3 or min(*sizes, *kernel) < 1:
        raise node.refuse(
            f"it puts blocks {kernel} of a value of shape {x.shape} into an image {sizes}; edgebn does so in 1-D and 2-D"
        )
    strides, dilations, pads = windows.lists(node, count, kernel)
    befores, afters = windows.pair(pads[:count], count, 0), windows.pair(pads[count:], count, 0)
    over = unfolding.Windows(
        windows.pair(kernel, count, 1), windows.pair(strides, count, 1), windows.pair(dilations, count, 1), (*befores, *afters)
    )
    channels = x.shape[1] // over.size
    image: Dynamic = unfolding.put_together(node, context, x, channels, windows.pair(sizes, count, 1), over)
    return image if count == 2 else context.reshape(node, image, (x.shape[0], channels, *sizes), axis=x.place.axis, part="row")


def _transposed_padding(
    node: Node,
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    pads: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return (befores + afters, output padding) from output_shape or auto_pad, by the formulas of ONNX's ConvTranspose."""
    count = len(sizes)
    extra = node.integers("output_padding") or (0,) * count
    wanted = node.integers("output_shape")
    mode = node.text("auto_pad", "NOTSET")
    if len(extra) != count or (wanted is not None and len(wanted) not in (count, count + 2)):
        raise node.damaged("its output_padding or output_shape does not have one entry an axis")
    if mode == "VALID":
        pads = (0,) * (2 * count)
    if wanted is None:
        if mode not in ("SAME_UPPER", "SAME_LOWER"):
            return pads, extra
        wanted = tuple(
            # Behind the last of kernels narrower than their stride onnxruntime adds nothing (ONNX: zeros up to size * stride).
            min(size * stride, (size - 1) * stride + dilation * (length - 1) + 1 + added)
            for size, stride, dilation, length, added in zip(sizes, strides, dilations, kernel, extra, strict=True)
        )
    befores, afters, extras = [], [], []
    for axis, target in enumerate(wanted[-count:]):
        span = dilations[axis] * (kernel[axis] - 1) + 1
        total = strides[axis] * (sizes[axis] - 1) + extra[axis] + span - target
        before = total // 2 if mode == "SAME_UPPER" else total - total // 2
        befores.append(before if total >= 0 else 0)
        afters.append(total - before if total >= 0 else 0)
        extras.append(extra[axis] + max(-total, 0))
    return (*befores, *afters), tuple(extras)


def gemm(node: Node, context: Context) -> Dynamic:
    """Gemm: alpha * A' B' + beta * C with constant B."""
    x = node.real(0)
    transposed = bool(node.integer("transB", 0))
    weight, quantization = weights.weight(node, context, 1, 2, outputs_axis=0 if transposed else 1)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if weight.ndim != 2:
        raise node.damaged(f"its weight has shape {weight.shape}; it should have 2 axes")
    x = transposed_input(node, context, x)
    x, _ = context.along(node, x, (1,), "multiplies along")
    rows = weight if transposed else weight.T
    outputs = rows.shape[0]
    if quantization is not None:
        if alpha <= 0:
            raise node.refuse("its alpha is not positive, with quantised weights; fold it into the weights first")
        quantization = Quantization(quantization.scale * alpha, quantization.zero_point, quantization.axis)
    elif alpha != 1.0:
        rows = rows * np.float32(alpha)
    quantization = weights.along_outputs(node, quantization, 0 if transposed else 1, outputs)
    matrix = None
    if node.has(2):
        matrix = node.static(2, "C")
        if matrix.size not in (1, outputs) or (matrix.ndim == 2 and matrix.shape[0] != 1):
            fields: dict[str, Any] = {"weight": np.ascontiguousarray(rows), "weight_quantization": quantization}
            return _add_matrix(node, context, context.emit(node, Dense, x, part="product", **fields), beta)
    bias = weights.bias(node, context, 2, outputs)
    if bias is not None and beta != 1.0:
        bias = (bias * beta).astype(bias.dtype)
    return context.emit(node, Dense, x, weight=np.ascontiguousarray(rows), bias=bias, weight_quantization=quantization)


def transposed_input(node: Node, context: Context, x: Dynamic) -> Dynamic:
    """Return A or, with transA, A transposed."""
    if len(x.shape) != 2:
        raise node.damaged(f"its input has shape {x.shape}; it should have 2 axes")
    return context.transpose(node, x, (1, 0), part="transposed") if node.integer("transA", 0) else x


def _add_matrix(node: Node, context: Context, product: Dynamic, beta: float) -> Dynamic:
    """Add a C that differs from row to row."""
    array = np.asarray(weights.real_array(node, node.static(2, "C"), "C") * np.float32(beta))
    return combine(node, context, Add, {"product": product, "C": array})


def matmul(node: Node, context: Context) -> Dynamic:
    """MatMul of a value by a constant matrix from either side, or of two values."""
    constant = node.value(0)
    if isinstance(constant, Static):
        made: Dynamic = products.multiplied(node, context, weights.real_array(node, constant.array, "first input"), node.real(1))
        return made
    x = node.real(0)
    matrices = node.value(1)
    if isinstance(matrices, Dynamic):
        a, b, place = context.multiplied(node, x, node.real(1))
        return context.emit(node, MatMul, a, b, place=place)
    if matrices.array.ndim > 2 and max(matrices.array.shape[:-2]) > 1 and not context.integer:
        stacked: Dynamic = products.multiplied(node, context, x, weights.real_array(node, matrices.array, "second input"))
        return stacked
    several = matrices.array.ndim > 1
    weight, quantization = weights.weight(node, context, 1, outputs_axis=-1 if several else None)
    return multiply(node, context, x, weight, quantization)


def einsum(node: Node, context: Context) -> Dynamic:
    """Einsum of two operands."""
    if len(node.inputs) != 2:
        raise node.refuse(f"it multiplies {len(node.inputs)} operands; edgebn runs sums of products of two")
    a, b = (node.real(index) if isinstance(value, Dynamic) else weights.real_array(node, node.static(index, "operand"), "operand")
            for index, value in enumerate(node.inputs))  # fmt: skip
    made: Dynamic = products.einsum(node, context, node.text("equation", ""), a, b)
    return made


def multiply(
    node: Node,
    context: Context,
    x: Dynamic,
    weight: np.ndarray,
    quantization: Quantization | None,
    bias: np.ndarray | None = None,
    output_quantization: Quantization | None = None,
    shift: int = 0,
) -> Dynamic:
    """Append x @ weight for a weight (inputs, outputs) or (inputs,); shared by MatMul and QLinearMatMul."""
    while weight.ndim > 2 and weight.shape[0] == 1 and weight.ndim <= len(x.shape):
        weight = weight[0]
        if quantization is not None and quantization.axis is not None:
            quantization = Quantization(quantization.scale, quantization.zero_point, quantization.axis - 1)
    if weight.ndim not in (1, 2):
        raise node.refuse(f"its second input is a stack of matrices {weight.shape}; edgebn multiplies by one constant matrix")
    if not x.shape:
        raise node.damaged("its first input has no axis to multiply along")
    x, _ = context.along(node, x, (-1,), "multiplies along")
    matrix = weight if weight.ndim == 2 else weight[:, None]
    fields: dict[str, Any] = {
        "weight": np.ascontiguousarray(matrix.T),
        "bias": bias,
        "weight_quantization": weights.along_outputs(node, quantization, 1, matrix.shape[1]),
    }
    if weight.ndim == 2:
        return context.emit(node, Dense, x, quantization=output_quantization, shift=shift, **fields)
    column = context.emit(node, Dense, x, part="column", quantization=output_quantization, shift=shift, **fields)
    return context.without_axis(node, column, len(column.shape) - 1)
