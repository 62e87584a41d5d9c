"""PyTorch modules as its quantiser (pt2e) leaves them: quantize and dequantize around layers.

Written out by hand, since PyTorch's own quantiser moved to another package. For the recorder script: needs PyTorch, knows nothing
of edgebn.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.ao.quantization.fx._decomposed  # declares the operators
from torch.nn import functional
from torch_rows import one
from torch_zoo import Made

decomposed = torch.ops.quantized_decomposed
CODES = {torch.uint8: (0, 255), torch.int8: (-128, 127)}
IMAGE = (2, 3, 6, 6)


def through(x, scale, zero_point, dtype=torch.int8, ends=None):
    """Return what codes of one scale hold of a value."""
    low, high = ends or CODES[dtype]
    codes = decomposed.quantize_per_tensor(x, scale, zero_point, low, high, dtype)
    return decomposed.dequantize_per_tensor(codes, scale, zero_point, low, high, dtype)


def by_channel(codes, scales):
    """Return weights of int8 codes with a scale for each output."""
    return decomposed.dequantize_per_channel(codes, scales, torch.zeros_like(scales, dtype=torch.int64), 0, -127, 127, torch.int8)


def weights(*size):
    """Return int8 codes and their scales."""
    generator = torch.Generator().manual_seed(sum(size))
    codes = torch.randint(-127, 128, size, generator=generator, dtype=torch.int8)
    return {"codes": codes, "scales": torch.rand(size[0], generator=generator) * 0.004 + 0.002, "bias": torch.randn(size[0])}


def convolved(m, x, dtype=torch.int8, zero_point=3, ends=None):
    x = through(x, 0.03, zero_point, dtype, ends)
    y = functional.relu(functional.conv2d(x, by_channel(m.codes, m.scales), m.bias, padding=1))
    return through(y, 0.025, CODES[dtype][0], dtype)


def network(m, x):
    y = convolved(m, x, torch.uint8, 120)
    z = through(functional.max_pool2d(y, 2), 0.025, 0, torch.uint8)
    mean = through(z.mean((2, 3)), 0.02, 0, torch.uint8)
    return through(functional.linear(mean, by_channel(m.head, m.head_scales)), 0.05, 128, torch.uint8)


def head():
    given = weights(7, 5)
    return {"head": given["codes"], "head_scales": given["scales"]}


QUANTIZED: dict[str, Callable[[], Made]] = {
    "convolution_of_int8": one(convolved, IMAGE, **weights(4, 3, 3, 3)),
    "convolution_of_uint8": one(lambda m, x: convolved(m, x, torch.uint8, 120), IMAGE, **weights(4, 3, 3, 3)),
    "convolution_of_seven_bits": one(lambda m, x: convolved(m, x, torch.uint8, 60, (0, 127)), IMAGE, **weights(4, 3, 3, 3)),
    "network_of_uint8": one(network, IMAGE, **weights(5, 3, 3, 3), **head()),
    "sum_of_codes": one(lambda _, x: through(through(x, 0.031, 3) + through(x.flip(3), 0.0173, -4), 0.047, 1), IMAGE),
    "weights_quantised_in_the_program": one(
        lambda m, x: through(functional.conv2d(through(x, 0.03, 0), through(m.weight, 0.01, 0)), 0.04, -5), IMAGE,
        weight=torch.linspace(-1, 1.2, 4 * 3 * 2 * 2).reshape(4, 3, 2, 2),
    ),
    "weights_quantised_by_channel": one(
        lambda m, x: x + decomposed.dequantize_per_channel(
            decomposed.quantize_per_channel(m.weight, m.scales, m.zero_points, 1, -128, 127, torch.int8),
            m.scales, m.zero_points, 1, -128, 127, torch.int8,
        ).sum(), IMAGE,
        weight=torch.linspace(-1, 1.2, 12).reshape(3, 4), scales=torch.tensor([0.01, 0.02, 0.008, 0.03]),
        zero_points=torch.tensor([0, 3, -2, 7]),
    ),
}  # fmt: skip
