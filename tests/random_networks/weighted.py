"""Drawers of what has weights: convolutions, matrix products, batch normalisation."""

from __future__ import annotations

import numpy as np

from tests.random_networks.drawing import MAX_LENGTH, Drawing


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


def window(net: Drawing, sizes: tuple[int, ...], *, dilated: bool = True, widest: int = 4) -> dict:
    """Draw kernel, strides, dilations and padding for axes of these sizes."""
    count = len(sizes)
    kernel = [net.size(1, min(widest, size)) for size in sizes]
    strides = [net.pick((1, 1, 1, 2, 2, 3)) for _ in sizes]
    fits = [kernel[axis] == 1 or 2 * (kernel[axis] - 1) < sizes[axis] for axis in range(count)]
    dilations = [net.pick((1, 1, 2)) if dilated and fits[axis] else 1 for axis in range(count)]
    attributes: dict = {}
    padding = net.pick(("none", "none", "same", "pads", "pads", "auto"))
    if padding == "same":
        totals = [dilation * (length - 1) for dilation, length in zip(dilations, kernel, strict=True)]
        attributes["pads"] = [total // 2 for total in totals] + [total - total // 2 for total in totals]
    elif padding == "pads":
        attributes["pads"] = [net.size(0, min(2, kernel[axis % count] - 1)) for axis in range(2 * count)]
    elif padding == "auto":
        attributes["auto_pad"] = net.pick(("SAME_UPPER", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"))
        if attributes["auto_pad"].startswith("SAME"):
            dilations = [1] * count  # onnxruntime refuses SAME with dilations in pools, and differs in convolutions
    attributes["kernel_shape"] = kernel
    if strides != [1] * count or net.chance(0.5):
        attributes["strides"] = strides
    if dilations != [1] * count or (dilated and net.chance(0.3)):
        attributes["dilations"] = dilations
    return attributes


def _bias(net: Drawing, length: int) -> tuple[str, ...]:
    return (net.constant(0.5 * net.normal(length), "b"),) if net.chance(0.6) else ()


def conv(net: Drawing, x: str) -> str:
    """Conv over one or two axes: grouped, depthwise, dilated, padded anyhow."""
    net.need(len(net.sample(x)) in (2, 3))
    channels, *sizes = net.sample(x)
    attributes = window(net, tuple(sizes))
    groups = net.pick((1, 1, 1, channels, net.pick(_divisors(channels))))
    outputs = groups * net.size(1, max(1, 8 // groups))
    kernel = attributes["kernel_shape"]
    fan_in = channels // groups * int(np.prod(kernel))
    weight = net.constant(net.normal(outputs, channels // groups, *kernel) * np.float32(1.2 / np.sqrt(fan_in)))
    if net.chance(0.3):
        del attributes["kernel_shape"]
    if groups != 1 or net.chance(0.5):
        attributes["group"] = groups
    return net.node("Conv", x, weight, *_bias(net, outputs), **attributes)


def conv_transpose(net: Drawing, x: str) -> str:
    """ConvTranspose, its size from pads, output_padding, output_shape or auto_pad."""
    net.need(len(net.sample(x)) in (2, 3))
    channels, *sizes = net.sample(x)
    count = len(sizes)
    kernel = [net.size(1, 4) for _ in sizes]
    strides = [net.size(1, 3) for _ in sizes]
    dilations = [net.pick((1, 1, 2)) for _ in sizes]
    groups = net.pick((1, 1, 1, net.pick(_divisors(channels))))
    per_group = net.size(1, max(1, 6 // groups))
    attributes: dict = {"kernel_shape": kernel, "strides": strides, "group": groups}
    if dilations != [1] * count:
        attributes["dilations"] = dilations
    spans = [dilation * (length - 1) + 1 for dilation, length in zip(dilations, kernel, strict=True)]
    how = net.pick(("none", "pads", "extra", "shape", "auto"))
    if how in ("pads", "extra"):
        attributes["pads"] = [net.size(0, min(2, kernel[axis % count] - 1)) for axis in range(2 * count)]
    if how == "extra":
        attributes["output_padding"] = [net.size(0, stride - 1) for stride in strides]
    if how == "shape":
        full = [(size - 1) * stride + span for size, stride, span in zip(sizes, strides, spans, strict=True)]
        attributes["output_shape"] = [max(1, length - net.size(0, 2)) for length in full]
        if net.chance(0.5):
            attributes["auto_pad"] = net.pick(("SAME_UPPER", "SAME_LOWER"))
    if how == "auto":
        attributes["auto_pad"] = net.pick(("SAME_UPPER", "SAME_LOWER", "VALID"))
    reached = channels // groups * np.prod([max(1.0, length / stride) for length, stride in zip(kernel, strides, strict=True)])
    weight = net.constant(net.normal(channels, per_group, *kernel) * np.float32(1.2 / np.sqrt(reached)))
    return net.node("ConvTranspose", x, weight, *_bias(net, per_group * groups), **attributes)


def gemm(net: Drawing, x: str) -> str:
    """Gemm by a constant matrix, its C of any shape that broadcasts over the batch."""
    net.need(len(net.sample(x)) == 1)
    inputs, outputs = net.sample(x)[0], net.size(1, 10)
    weight = net.normal(inputs, outputs) * np.float32(1.2 / np.sqrt(inputs))
    attributes: dict = {}
    if net.chance(0.6):
        attributes["transB"] = 1
        weight = np.ascontiguousarray(weight.T)
    if net.chance(0.3):
        attributes["alpha"] = net.pick((0.5, 1.5, 1.0))
        attributes["beta"] = net.pick((0.5, 2.0, 0.0))
    added = net.pick((None, (outputs,), (outputs,), (1, outputs), (1,), ()))
    if added is None and net.opset < 11:
        added = (outputs,)
    bias = () if added is None else (net.constant(0.5 * net.normal(*added), "c"),)
    return net.node("Gemm", x, net.constant(weight), *bias, **attributes)


def matmul(net: Drawing, x: str) -> str:
    """MatMul by a constant matrix or vector along the last axis of any value."""
    net.need(net.sample(x))
    inputs, outputs = net.sample(x)[-1], net.size(1, 8)
    rank = len(net.shape(x))
    shape = net.pick(((inputs, outputs),) * 4 + ((inputs,),) + (((1,) * (rank - 2) + (inputs, outputs)),))
    net.need(len(shape) <= rank and (len(shape) > 1 or rank > 2))
    return net.node("MatMul", x, net.constant(net.normal(*shape) * np.float32(1.2 / np.sqrt(inputs))))


def batch_normalization(net: Drawing, x: str) -> str:
    """BatchNormalization, also of vectors and of three spatial axes."""
    net.need(net.sample(x))
    channels = net.sample(x)[0]
    gamma = net.uniform(0.5, 1.5, channels) * net.pick((1.0, net.rng.choice([-1.0, 1.0], channels).astype(np.float32)))
    arrays = (gamma, 0.5 * net.normal(channels), 0.3 * net.normal(channels), net.uniform(0.4, 2.0, channels))
    attributes = {"epsilon": net.pick((1e-3, 1e-5))} if net.chance(0.7) else {}
    names = [net.constant(np.asarray(array, np.float32), "n") for array in arrays]
    return net.node("BatchNormalization", x, *names, **attributes)


def attention(net: Drawing, x: str) -> str:
    """Products of two values: a value with itself turned round, weighed by a softmax, and times the value again."""
    rank = len(net.shape(x))
    net.need(3 <= rank <= 5)
    *_, rows, columns = net.shape(x)
    net.need(rows <= MAX_LENGTH)
    turned = net.node("Transpose", x, perm=[*range(rank - 2), rank - 1, rank - 2])
    weights = net.node("MatMul", x, turned)
    scaled = net.node("Mul", weights, net.constant(np.float32(1 / np.sqrt(columns)), "scale"))
    return net.node("MatMul", net.node("Softmax", scaled, axis=rank - 1), x)


def einsum(net: Drawing, x: str) -> str:
    """Einsum with a constant matrix along one axis, or with the value itself."""
    rank = len(net.shape(x))
    net.need(2 <= rank <= 4)
    letters = "abcd"[:rank]
    along = net.size(1, rank - 1)
    if rank >= 3 and net.chance(0.4):
        made = letters[:-2] + letters[-2] + "z"
        scaled = net.node("Mul", x, net.constant(np.float32(1 / np.sqrt(net.shape(x)[-1])), "scale"))
        return net.node("Einsum", scaled, x, equation=f"{letters},{letters[:-2]}z{letters[-1]}->{made}")
    length, outputs = net.shape(x)[along], net.size(1, 6)
    weight = net.constant(net.normal(length, outputs) * np.float32(1.2 / np.sqrt(length)))
    made = letters[:along] + "z" + letters[along + 1 :]
    if net.chance(0.4):
        made = letters[:along] + letters[along + 1 :] + "z"
    return net.node("Einsum", x, weight, equation=f"{letters},{letters[along]}z->{made}")
