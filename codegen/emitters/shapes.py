"""The literal sizes that kernels are given: convolution and pooling windows. Knows programs, no kernels."""

from __future__ import annotations

from codegen.emitters.text import struct
from edgebn.program import Convolution, Hwc, TransposedConvolution, Window


def conv_shape(step: Convolution | TransposedConvolution, shape: Hwc, out_shape: Hwc, zero_point: int) -> str:
    """Return `edgebn_conv_shape` for a step that reads `shape` and makes `out_shape` (before any pool)."""
    return struct(
        "edgebn_conv_shape",
        height=shape[0],
        width=shape[1],
        channels=shape[2],
        kernel_height=step.weight.shape[1],
        kernel_width=step.weight.shape[2],
        stride_y=step.strides[0],
        stride_x=step.strides[1],
        dilation_y=step.dilations[0],
        dilation_x=step.dilations[1],
        top=step.padding[0],
        left=step.padding[1],
        out_height=out_shape[0],
        out_width=out_shape[1],
        out_channels=out_shape[2],
        groups=step.groups,
        zero_point=zero_point,
    )


def pool_shape(window: Window, shape: Hwc, out_shape: Hwc, zero_point: int) -> str:
    """Return `edgebn_pool_shape` for a window over `shape`."""
    return struct(
        "edgebn_pool_shape",
        height=shape[0],
        width=shape[1],
        channels=shape[2],
        kernel_height=window.kernel[0],
        kernel_width=window.kernel[1],
        stride_y=window.strides[0],
        stride_x=window.strides[1],
        dilation_y=window.dilations[0],
        dilation_x=window.dilations[1],
        top=window.padding[0],
        left=window.padding[1],
        out_height=out_shape[0],
        out_width=out_shape[1],
        is_max=window.function == "max",
        count_padding=window.count_padding,
        counted_bottom=window.padding[2] - window.clipped_end[0],
        counted_right=window.padding[3] - window.clipped_end[1],
        zero_point=zero_point,
        ties=window.ties,
    )
