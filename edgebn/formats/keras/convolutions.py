"""Convolutions and dense layers: kernels from Keras' layouts to the graph's (O, kh, kw, I / groups), padding made explicit.

Keras' kernels: Conv (kh, kw, I / groups, O), DepthwiseConv (kh, kw, C, M), Conv transposed (kh, kw, O, I), Dense (I, O).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.keras.activations import fused
from edgebn.formats.keras.place import LayerFunction, Place
from edgebn.formats.keras.settings import Settings, as_integer
from edgebn.layers import MAX_EXTENT, Convolution, Dense, TransposedConvolution, same_padding

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


class Geometry(NamedTuple):
    """What every convolution has."""

    rank: int
    size: Pair
    channels: int
    channels_first: bool
    kernel: Pair
    strides: Pair
    dilations: Pair

    @classmethod
    def of(cls, place: Place, rank: int) -> Geometry:
        """Read it from the layer's settings and input."""
        (height, width), channels, first = place.spatial(rank)
        settings = place.settings
        if settings.get("quantization_config") is not None:
            raise place.unsupported("Keras quantised its weights; load the float model and use edgebn.quantize")
        return cls(
            rank,
            (height, width),
            channels,
            first,
            settings.pair("kernel_size", rank),
            settings.pair("strides", rank, 1),
            settings.pair("dilation_rate", rank, 1),
        )

    def stored(self, *channels: int) -> tuple[int, ...]:
        """Return the shape that Keras stores a kernel in: spatial axes, then `channels`."""
        spatial = self.kernel if self.rank == 2 else self.kernel[1:]
        return (*spatial, *channels)

    def padding(self, settings: Settings) -> Sides:
        """Return (top, left, bottom, right) for 'valid', 'same' and 'causal'."""
        mode = settings.text("padding", "valid")
        if mode == "valid":
            return (0, 0, 0, 0)
        if mode == "causal" and self.rank == 1:
            return (0, self.dilations[1] * (self.kernel[1] - 1), 0, 0)
        if mode != "same":
            raise ModelError(f"its padding '{mode[:40]}' is not one of valid, same and (in one dimension) causal")
        (top, bottom), (left, right) = (
            same_padding(size, kernel, stride, dilation)
            for size, kernel, stride, dilation in zip(self.size, self.kernel, self.strides, self.dilations, strict=True)
        )
        return (top, left, bottom, right)


def _bias(place: Place, index: int, filters: int) -> np.ndarray | None:
    return place.weight(index, "bias", (filters,)) if place.settings.flag("use_bias", True) else None


def convolution(rank: int) -> LayerFunction:
    """Return the function of Conv1D (rank 1) or Conv2D (rank 2)."""

    def add(place: Place) -> str:
        geometry = Geometry.of(place, rank)
        groups, filters = place.settings.integer("groups", 1), place.settings.integer("filters")
        if groups < 1 or geometry.channels % groups or filters < 1 or filters % groups:
            raise ModelError(f"{groups} groups do not divide {geometry.channels} input channels and {filters} filters")
        per_group = geometry.channels // groups
        weight = place.weight(
            0,
            "kernel",
            geometry.stored(per_group, filters),
            lambda kernel: kernel.reshape(*geometry.kernel, per_group, filters).transpose(3, 0, 1, 2),
        )
        return fused(
            place,
            Convolution,
            weight=weight,
            bias=_bias(place, 1, filters),
            strides=geometry.strides,
            dilations=geometry.dilations,
            padding=geometry.padding(place.settings),
            groups=groups,
            channels_first=geometry.channels_first,
        )

    return add


def _depthwise_kernel(place: Place, geometry: Geometry) -> np.ndarray:
    """Return the kernel as (C * M, kh, kw, 1): output channel c * M + m reads input channel c."""
    multiplier = place.settings.integer("depth_multiplier", 1)
    if multiplier < 1:
        raise ModelError(f"its depth_multiplier {multiplier} is not positive")
    channels = geometry.channels
    return place.weight(
        0,
        "depthwise kernel",
        geometry.stored(channels, multiplier),
        lambda kernel: (
            kernel.reshape(*geometry.kernel, channels, multiplier)
            .transpose(2, 3, 0, 1)
            .reshape(channels * multiplier, *geometry.kernel, 1)
        ),
    )


def depthwise(rank: int) -> LayerFunction:
    """Return the function of DepthwiseConv1D or DepthwiseConv2D."""

    def add(place: Place) -> str:
        geometry = Geometry.of(place, rank)
        weight = _depthwise_kernel(place, geometry)
        return fused(
            place,
            Convolution,
            weight=weight,
            bias=_bias(place, 1, len(weight)),
            strides=geometry.strides,
            dilations=geometry.dilations,
            padding=geometry.padding(place.settings),
            groups=geometry.channels,
            channels_first=geometry.channels_first,
        )

    return add


def separable(rank: int) -> LayerFunction:
    """Return the function of SeparableConv1D or SeparableConv2D: a depthwise convolution, then a 1x1 one with the bias."""

    def add(place: Place) -> str:
        geometry = Geometry.of(place, rank)
        filters = place.settings.integer("filters")
        depthwise_weight = _depthwise_kernel(place, geometry)
        between = len(depthwise_weight)
        pointwise = place.weight(
            1,
            "pointwise kernel",
            (*(1,) * rank, between, filters),
            lambda kernel: kernel.reshape(1, 1, between, filters).transpose(3, 0, 1, 2),
        )
        bias = _bias(place, 2, filters)
        middle = place.add(
            Convolution,
            None,
            "depthwise",
            "depthwise",
            weight=depthwise_weight,
            strides=geometry.strides,
            dilations=geometry.dilations,
            padding=geometry.padding(place.settings),
            groups=geometry.channels,
            channels_first=geometry.channels_first,
        )
        return fused(place, Convolution, [middle], "pointwise", weight=pointwise, bias=bias, channels_first=geometry.channels_first)

    return add


def transposed(rank: int) -> LayerFunction:
    """Return the function of Conv1DTranspose or Conv2DTranspose.

    Where kernel and stride leave a choice, the output's size and the cells cut off its start are TensorFlow's:
    'same' gives size * stride, 'valid' (size - 1) * stride + max(kernel, stride); the odd cell is cut off the end.
    """

    def add(place: Place) -> str:
        geometry = Geometry.of(place, rank)
        filters = place.settings.integer("filters")
        if place.settings.integer("groups", 1) != 1:
            raise place.unsupported("edgebn runs Keras' transposed convolutions with one group only")
        weight = place.weight(
            0,
            "kernel",
            geometry.stored(filters, geometry.channels),
            lambda kernel: kernel.reshape(*geometry.kernel, filters, geometry.channels).transpose(2, 0, 1, 3),
        )
        mode = place.settings.text("padding", "valid")
        if mode not in ("valid", "same"):
            raise ModelError(f"its padding '{mode[:40]}' is not one of valid and same")
        (top, bottom, extra_rows), (left, right, extra_columns) = (
            _transposed_sides(geometry, axis, mode, _output_padding(place, axis, rank)) for axis in (0, 1)
        )
        return fused(
            place,
            TransposedConvolution,
            weight=weight,
            bias=_bias(place, 1, filters),
            strides=geometry.strides,
            dilations=geometry.dilations,
            padding=(top, left, bottom, right),
            output_padding=(extra_rows, extra_columns),
            channels_first=geometry.channels_first,
        )

    return add


def _output_padding(place: Place, axis: int, rank: int) -> int | None:
    """Return the size added to the output along height (0) or width (1), None where Keras chooses it."""
    value = place.settings.get("output_padding")
    if value is None:
        return None
    listed = value if isinstance(value, list) else [value] * rank
    extra = [as_integer(item, "output_padding") for item in listed]
    if len(extra) != rank or not all(0 <= size <= MAX_EXTENT for size in extra):
        raise ModelError(f"its output_padding {str(value)[:60]} should be {rank} numbers between 0 and {MAX_EXTENT}")
    return extra[axis - 2 + rank]


def _transposed_sides(geometry: Geometry, axis: int, mode: str, output_padding: int | None) -> tuple[int, int, int]:
    """Return how much of one axis is cut before, cut after, and added after the full transposed convolution."""
    size, kernel, stride = geometry.size[axis], geometry.kernel[axis], geometry.strides[axis]
    span = geometry.dilations[axis] * (kernel - 1) + 1
    full = (size - 1) * stride + span
    if geometry.rank == 1 and axis == 0:
        return (0, 0, 0)
    if mode == "valid":
        return (0, 0, max(stride - span, 0) if output_padding is None else output_padding)
    wanted = size * stride if output_padding is None else (size - 1) * stride + span % 2 + output_padding
    cut = max(full - wanted, 0)
    return (cut // 2, cut - cut // 2, max(wanted - full, 0))


def dense(place: Place) -> str:
    """Dense, over the last axis whatever the rank."""
    if place.settings.get("quantization_config") is not None or place.settings.get("lora_rank") is not None:
        raise place.unsupported("Keras quantised its weights or added LoRA to them; save the plain float model")
    units, channels = place.settings.integer("units"), place.shape[-1]
    weight = place.weight(0, "kernel", (channels, units), lambda kernel: kernel.T)
    return fused(place, Dense, weight=weight, bias=_bias(place, 1, units))
