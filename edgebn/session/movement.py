"""Packs the steps that move values without computing: concat, pad, crop, resize, transpose and reshape."""

from __future__ import annotations

import numpy as np

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.session.arithmetic import emit_lookup
from edgebn.session.packer import Address, Packer, View

FLOAT32 = 4  # bytes of a number


def _strides(view: View) -> tuple[int, int, int]:
    return view.row, view.pixel, view.form.element


def _move(
    packer: Packer, source: Address, from_steps: tuple[int, ...], target: Address, to_steps: tuple[int, ...], counts: p.Hwc
) -> None:
    """Copy `counts` elements between any steps, in bytes: the last of `to_steps` is the size of one."""
    arguments: dict[str, Address | float] = {"src": source, "dst": target}
    for axis in range(3):
        arguments |= {f"src_{axis}": from_steps[axis], f"dst_{axis}": to_steps[axis], f"count_{axis}": counts[axis]}
    packer.emit("move_f32" if to_steps[2] == FLOAT32 else "move_u8", **arguments)


def _offset(view: View, starts: tuple[int, ...]) -> Address:
    return view.address + sum(start * step for start, step in zip(starts, _strides(view), strict=True))


def pack_concat(step: p.Concat, packer: Packer) -> None:
    """Copy each input to its place, int8 through its table where it has one."""
    output = packer.view(step.output)
    start = 0
    for name, table in zip(step.inputs, step.tables or (None,) * len(step.inputs), strict=True):
        source = packer.view(name)
        starts = tuple(start if axis == step.axis else 0 for axis in range(3))
        target = _offset(output, starts)
        if table is None:
            _move(packer, source.address, _strides(source), target, _strides(output), source.form.shape)
        else:
            emit_lookup(packer, source, View(target, output.form), table.reshape(1, 256))
        start += source.form.shape[step.axis]


def pack_pad(step: p.Pad, packer: Packer) -> None:
    """Fill the output, then copy the inside."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    rows, columns, channels = output.form.shape
    area: dict[str, Address | float] = {"dst": output.address, "dst_row": output.row, "rows": rows, "count": columns * channels}
    if output.form.element == FLOAT32:
        packer.emit("fill_f32", value=step.value, **area)
    else:
        packer.emit("fill_bytes", byte=(int(step.value) & 0xFF) ^ isa.CODE_FLIP, **area)
    before = tuple(pads[0] for pads in step.pads)
    _move(packer, source.address, _strides(source), _offset(output, before), _strides(output), source.form.shape)


def pack_crop(step: p.Crop, packer: Packer) -> None:
    """Copy the part."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    _move(packer, _offset(source, step.starts), _strides(source), output.address, _strides(output), output.form.shape)


def pack_transpose(step: p.Transpose, packer: Packer) -> None:
    """Copy with the input's steps in the output's order."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    steps = tuple(_strides(source)[axis] for axis in step.permutation)
    _move(packer, source.address, steps, output.address, _strides(output), output.form.shape)


def pack_reshape(step: p.Reshape, packer: Packer) -> None:
    """Copy where the memory could not be shared."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    if source.address == output.address:
        return
    packer.emit(
        "reshape",
        src=source.address,
        src_row=source.row,
        src_count=source.form.shape[1] * source.pixel,
        dst=output.address,
        dst_row=output.row,
        dst_count=output.form.shape[1] * output.pixel,
        total=int(np.prod(output.form.shape)) * output.form.element,
    )


def pack_resize(step: p.Resize, packer: Packer) -> None:
    """Emit a resampling."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    rows, columns, channels = output.form.shape
    arguments: dict[str, Address | float] = {
        "src": source.address,
        "src_row": source.row,
        "dst": output.address,
        "dst_row": output.row,
        "rows": rows,
        "columns": columns,
        "row_index": packer.constant(np.asarray(step.rows, np.int32)),
        "column_index": packer.constant(np.asarray(step.columns, np.int32)),
    }
    if step.function == "nearest":
        packer.emit("nearest", pixel=output.pixel, **arguments)
        return
    real = output.form.element == FLOAT32
    weights = np.float32 if real else np.int32
    packer.emit(
        "bilinear_f32" if real else "bilinear_i8",
        channels=channels,
        row_weight=packer.constant(np.asarray(step.row_weights, weights)),
        column_weight=packer.constant(np.asarray(step.column_weights, weights)),
        **arguments,
    )
