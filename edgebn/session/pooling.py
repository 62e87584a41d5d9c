"""Packs pooling, of its own or behind a convolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.session.options import Options
from edgebn.session.packer import Address, Packer, codes

TILE = "tile_f32"  # the vector kernels'


def scratch(step: p.Pool, program: p.Program, options: Options) -> Mapping[str, int]:  # noqa: ARG001  # the form of the table
    """Return the scratch of a pool step."""
    return pool_scratch(step.window, p.step_dtype(step, program), program.buffers[step.output].shape[2])


def pool_scratch(window: p.Window, dtype: str, channels: int) -> dict[str, int]:
    """Return the scratch of any pooling: plain averages sum in 32 bits."""
    return {"sums": 4 * channels} if window.function == "average" and _suffix(dtype, channels) != TILE else {}


def _suffix(dtype: str, channels: int) -> str:
    """Return how the names of the kernels end that pool values of a data type and a number of channels."""
    if dtype == "int8":
        return "i8"
    return TILE if f"maximum_{TILE}" in executor.operations() and channels >= isa.SELECTED.lanes else "f32"


def pack(step: p.Pool, packer: Packer) -> None:
    """Emit a pool of its own."""
    source = packer.view(step.inputs[0])
    shape = source.form.shape
    emit_pool(
        packer,
        step,
        step.window,
        source=(source.address, source.row, shape[0]),
        shape=shape,
        rows=(0, packer.view(step.output).form.shape[0]),
        padding_value=packer.buffer(step.inputs[0]).zero_point,
        epilogue=step.epilogue,
    )


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
    rows: tuple[int, int],
    padding_value: int,
    epilogue: p.IntEpilogue | None = None,
) -> None:
    """Emit pooled rows into the step's output.

    Parameters
    ----------
    source : (address, row, ring)
        Where input rows are, the bytes between them, and how many there are before they repeat.
    shape : (height, width, channels)
        Of the value that is pooled.
    rows : (first, count)
        Which pooled rows.
    padding_value : int
        The code that padding reads where it is counted.
    """
    output = packer.view(step.output)
    address, row, ring = source
    if is_whole(window, shape) and row == shape[1] * output.form.pixel and ring >= shape[0]:
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
        "dst": output.address,
        "dst_row": output.row,
        "first_row": rows[0],
        "rows": rows[1],
        "columns": output.form.shape[1],
        "kernel_rows": window.kernel[0],
        "kernel_columns": window.kernel[1],
        "stride_rows": window.strides[0],
        "stride_columns": window.strides[1],
        "dilation_rows": window.dilations[0],
        "dilation_columns": window.dilations[1],
        "top": top,
        "left": left,
    }
    suffix = _suffix(p.step_dtype(step, packer.program), channels)
    if window.function == "max":
        packer.emit(f"maximum_{suffix}", **arguments)
        return
    arguments |= {
        "count_padding": int(window.count_padding),
        "end_row": height + bottom - window.clipped_end[0],
        "end_column": width + right - window.clipped_end[1],
    }
    if suffix != TILE:
        arguments["scratch"] = packer.scratch(step, "sums")
    if suffix == "i8":
        arguments["padding_value"] = padding_value
        if epilogue is None:
            arguments["ties_to_even"] = int(window.ties_to_even)
    if epilogue is None:
        packer.emit(f"average_{suffix}", **arguments)
    else:
        packer.emit("average_rescaled_i8", epilogue=packer.epilogue(epilogue), **codes(epilogue), **arguments)
