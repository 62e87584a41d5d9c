"""Packs pooling, of its own or behind a convolution."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.kernels.pool_shapes import BLOCK
from edgebn.quick_dataclass import dataclass, replace
from edgebn.session import parts
from edgebn.session.options import Options
from edgebn.session.packer import Address, Packer, codes, suffix

TILE = "tile_f32"  # the vector kernels'
CODES_TILE = "maximum_tile_i8"
# Numbers of a map from which on threads sum blocks of its pixels, each the rows that it has just written, and not channels, half of
# which the other core wrote: about what two shares are worth.
MIN_BY_BLOCKS = 1 << 15
MIN_BLOCK, MAX_BLOCKS = 8, 8  # int8: pixels of a block, whose sums take the bytes of four, and blocks of a map


def scratch(step: p.Pool, program: p.Program, options: Options) -> Mapping[str, int]:
    """Return the scratch of a pool step."""
    buffer, shape = program.buffers[step.output], program.buffers[step.inputs[0]].shape
    if goes_by_axis(step.window, shape, buffer.shape):
        return {"columns": buffer.shape[0] * shape[1] * shape[2] * np.dtype(buffer.dtype).itemsize + isa.SELECTED.vector_bytes}
    dtype = p.step_dtype(step, program)
    wanted = pool_scratch(step.window, dtype, buffer.shape[2])
    found = {what: size * parts.most_shares(options.threads) for what, size in wanted.items()}
    if _goes_by_blocks(step.window, shape, dtype, options):  # unless the map has a halo
        found["sums"] = max(found.get("sums", 0), 4 * shape[2] * _blocks(dtype, shape)[1])
    return found


def goes_by_axis(window: p.Window, shape: p.Hwc, pooled: p.Hwc) -> bool:
    """Whether a maximum down the columns and then along the rows costs less than over whole windows."""
    kernel_rows, kernel_columns = window.kernel
    whole = pooled[1] * kernel_rows * kernel_columns
    by_axis = shape[1] * (kernel_rows + 2) + pooled[1] * kernel_columns  # what stands between is written and read
    return window.function == "max" and whole > by_axis


def _goes_by_blocks(window: p.Window, shape: p.Hwc, dtype: str, options: Options) -> bool:
    """Whether threads sum blocks of pixels of a whole map before one of them, or each some channels, averages."""
    kernels = {"int8": "sum_blocks_i8", "float32": "sum_blocks_f32"}
    if options.threads == 1 or window.function != "average" or not is_whole(window, shape):
        return False
    if kernels.get(dtype) not in executor.operations() or (dtype == "float32" and _suffix(dtype, shape[2]) != TILE):
        return False
    return math.prod(shape) >= MIN_BY_BLOCKS and _blocks(dtype, shape)[1] > 1


def _blocks(dtype: str, shape: p.Hwc) -> tuple[int, int]:
    """Return the pixels of a block, and how many blocks there are; float32's are those whose sums a long average joins."""
    pixels = shape[0] * shape[1]
    size = BLOCK if dtype == "float32" else max(MIN_BLOCK, -(-pixels // MAX_BLOCKS))
    return size, -(-pixels // size)


def pool_scratch(window: p.Window, dtype: str, channels: int) -> dict[str, int]:
    """Return the scratch of any pooling: plain averages sum in 32 bits, those of float32 by blocks, with what is lost."""
    if window.function != "average" or _suffix(dtype, channels) == TILE:
        return {}
    return {} if dtype == "int16" else {"sums": (4 if dtype == "int8" else 12) * channels}


def _suffix(dtype: str, channels: int) -> str:
    """Return how the names of the kernels end that pool values of a data type and a number of channels."""
    if dtype != "float32":
        return suffix(dtype)
    return TILE if f"maximum_{TILE}" in executor.operations() and channels >= isa.SELECTED.lanes else "f32"


def pack(step: p.Pool, packer: Packer) -> None:
    """Emit a pool of its own."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    shape = source.layout.shape
    first, window = (source.address, source.row, shape[0]), step.window
    dtype = p.step_dtype(step, packer.program)
    if source.row == shape[1] * source.pixel and _goes_by_blocks(window, shape, dtype, packer.options):
        _emit_by_blocks(step, packer, dtype)
        return
    target = Target(output.address, output.row, output.layout.shape)
    if goes_by_axis(window, shape, target.shape):
        top, left, bottom, right = window.padding
        between = target.shape[0], shape[1], shape[2]
        columns = Target(packer.scratch(step, "columns"), shape[1] * output.pixel, between)
        down = p.Window("max", (window.kernel[0], 1), (window.strides[0], 1), (window.dilations[0], 1), (top, 0, bottom, 0))
        emit_pool(packer, step, down, source=first, shape=shape, target=columns, rows=(0, between[0]))
        first, shape = (columns.address, columns.row, between[0]), between
        window = p.Window("max", (1, window.kernel[1]), (1, window.strides[1]), (1, window.dilations[1]), (0, left, 0, right))
    emit_pool(
        packer,
        step,
        window,
        source=first,
        shape=shape,
        target=target,
        rows=(0, target.shape[0]),
        padding_value=packer.buffer(step.inputs[0]).zero_point,
        epilogue=step.epilogue,
    )


def _emit_by_blocks(step: p.Pool, packer: Packer, dtype: str) -> None:
    """Emit the average of a whole map whose pixels are adjacent: sums of its blocks, and what joins them."""
    source, kind = packer.view(step.inputs[0]), suffix(dtype)
    height, width, channels = source.layout.shape
    size, blocks = _blocks(dtype, source.layout.shape)
    sums, row = packer.scratch(step, "sums"), 4 * channels
    packer.emit(
        f"sum_blocks_{kind}",
        src=source.address,
        pixel=source.pixel,
        pixels=height * width,
        **({} if dtype == "float32" else {"per_block": size}),
        channels=channels,
        dst=sums,
        dst_row=row,
        blocks=blocks,
    )
    joined: dict[str, Address | float] = {
        "src": sums,
        "src_row": row,
        "blocks": blocks,
        "pixels": height * width,
        "channels": channels,
        "dst": packer.view(step.output).address,
    }
    if step.epilogue is not None:
        joined |= {"by_count": int(len(step.epilogue.m) > 1), "epilogue": packer.epilogue(step.epilogue), **codes(step.epilogue)}
        kind = "rescaled_i8"
    elif dtype == "int8":
        joined["ties"] = step.window.ties
    packer.emit(f"average_blocks_{kind}", **joined)


@dataclass(frozen=True)
class Target:
    """Where pooled values go: an address, the bytes to the next row, and the shape of all of them; pixels of a row are adjacent."""

    address: Address
    row: int
    shape: p.Hwc


def is_whole(window: p.Window, shape: p.Hwc) -> bool:
    """Whether a window is the whole value and no more."""
    return window.kernel == shape[:2] and window.padding == (0, 0, 0, 0) and window.dilations == (1, 1)


def emit_pool(
    packer: Packer,
    step: p.Step,
    window: p.Window,
    *,
    source: tuple[Address, int, int],
    shape: p.Hwc,
    target: Target,
    rows: tuple[int, int],
    padding_value: int = 0,
    epilogue: p.IntEpilogue | None = None,
) -> None:
    """Emit pooled rows.

    Parameters
    ----------
    source : (address, row, ring)
        Where input rows are, the bytes between them, and how many there are before they repeat.
    shape : (height, width, channels)
        Of the value that is pooled.
    target : Target
    rows : (first, count)
        Which pooled rows.
    padding_value : int
        The code that padding reads where it is counted.
    """
    address, row, ring = source
    pixel = shape[2] * packer.view(step.output).layout.element
    if is_whole(window, shape) and row == shape[1] * pixel and ring >= shape[0]:
        # Adjacent rows under one window are one long row, which kernels sum without a stop.
        shape = 1, shape[0] * shape[1], shape[2]
        window = replace(window, kernel=shape[:2], strides=(1, 1))
        ring = 1
    height, width, channels = shape
    top, left, bottom, right = window.padding
    arguments: dict[str, Address | float] = {
        "src": address,
        "src_row": row,
        "ring": ring,
        "height": height,
        "width": width,
        "channels": channels,
        "pixel": pixel,
        "dst": target.address,
        "dst_row": target.row,
        "first_row": rows[0],
        "rows": rows[1],
        "columns": target.shape[1],
        "kernel_rows": window.kernel[0],
        "kernel_columns": window.kernel[1],
        "stride_rows": window.strides[0],
        "stride_columns": window.strides[1],
        "dilation_rows": window.dilations[0],
        "dilation_columns": window.dilations[1],
        "top": top,
        "left": left,
    }
    kind = _suffix(p.step_dtype(step, packer.program), channels)
    if window.function == "max":
        by_vectors = kind == "i8" and CODES_TILE in executor.operations() and channels >= isa.MIN_VECTOR
        packer.emit(CODES_TILE if by_vectors else f"maximum_{kind}", **arguments)
        return
    arguments |= {
        "count_padding": int(window.count_padding),
        "end_row": height + bottom - window.clipped_end[0],
        "end_column": width + right - window.clipped_end[1],
    }
    if kind == "i16":
        _emit_wide_average(packer, window, epilogue, arguments)
        return
    if kind != TILE:
        arguments["scratch"] = packer.scratch(step, "sums")
    if kind == "i8":
        arguments["padding_value"] = padding_value
        if epilogue is None:
            arguments["ties"] = window.ties
    if epilogue is None:
        packer.emit(f"average_{kind}", **arguments)
    else:
        arguments["by_count"] = int(len(epilogue.m) > 1)
        packer.emit("average_rescaled_i8", epilogue=packer.epilogue(epilogue), **codes(epilogue), **arguments)


def _emit_wide_average(
    packer: Packer, window: p.Window, epilogue: p.IntEpilogue | None, arguments: dict[str, Address | float]
) -> None:
    """Emit an average of int16 codes."""
    arguments |= {"rescaled": int(epilogue is not None), "ties": window.ties}
    if epilogue is None:
        nothing = {"by_count": 0, "epilogue": 0, "neg": 0, "zero_point": 0, "qmin": 0, "qmax": 0}
        packer.emit("average_i16", **nothing, **arguments)
    else:
        by_count = int(len(epilogue.m) > 1)
        packer.emit("average_i16", by_count=by_count, epilogue=packer.epilogue(epilogue), **codes(epilogue), **arguments)
