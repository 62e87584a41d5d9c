"""Packs the steps that move values without computing: concat, pad, crop, resize, transpose and reshape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa
from edgebn.session import parts
from edgebn.session.arithmetic import emit_lookup
from edgebn.session.options import Options
from edgebn.session.packer import Address, Packer, View, suffix

FLOAT32, INT16 = 4, 2  # bytes of a number
WEIGHT_BITS = 10  # of a bilinear resampling of codes in integers, whose weights are in 1/1024
CODE_BITS, SIGNIFICANT_BITS = 8, 24  # of an int8 code and of a float32 number


def _strides(view: View) -> tuple[int, int, int]:
    return view.row, view.pixel, view.layout.element


# The least side of a matrix that is worth transposing by squares of vectors (`kernels/transpose.py`), which no side may be below.
MIN_SQUARE = 8

Axis = tuple[int, int, int]  # elements, and the bytes from one to the next where they come from and where they go


def _move(
    packer: Packer, source: Address, from_steps: tuple[int, ...], target: Address, to_steps: tuple[int, ...], counts: p.Hwc
) -> None:
    """Copy `counts` elements between any steps, in bytes: the last of `to_steps` is the size of one."""
    element = to_steps[2]
    outer, middle, inner = _joined(list(zip(counts, from_steps, to_steps, strict=True)))
    if element == inner[2] == FLOAT32 and "transpose_f32" in executor.operations():
        if outer[1] == element:
            outer, middle = middle, outer
        if middle[1] == element and inner[1] != element and min(middle[0], inner[0]) >= MIN_SQUARE:
            packer.emit(
                "transpose_f32",
                src=source,
                src_0=outer[1],
                src_row=inner[1],
                dst=target,
                dst_0=outer[2],
                dst_row=middle[2],
                count_0=outer[0],
                rows=inner[0],
                columns=middle[0],
            )
            return
    arguments: dict[str, Address | float] = {"src": source, "dst": target}
    for axis, (count, from_step, to_step) in enumerate((outer, middle, inner)):
        arguments |= {f"src_{axis}": from_step, f"dst_{axis}": to_step, f"count_{axis}": count}
    packer.emit({FLOAT32: "move_f32", INT16: "move_i16"}.get(element, "move_u8"), **arguments)


def _joined(axes: list[Axis]) -> tuple[Axis, Axis, Axis]:
    """Return three axes over the same elements: those that adjoin on both sides as one, and axes of one element in front."""
    joined: list[Axis] = []
    for count, from_step, to_step in axes:
        if joined and joined[-1][1:] == (count * from_step, count * to_step):
            count *= joined.pop()[0]
        if count > 1:
            joined.append((count, from_step, to_step))
    one, two, three = [(1, 0, 0)] * (3 - len(joined)) + joined
    return one, two, three


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
            _move(packer, source.address, _strides(source), target, _strides(output), source.layout.shape)
        else:
            emit_lookup(packer, source, View(target, output.layout), table.reshape(1, 256))
        start += source.layout.shape[step.axis]


def pack_pad(step: p.Pad, packer: Packer) -> None:
    """Fill the output, then copy the inside."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    rows, columns, channels = output.layout.shape
    area: dict[str, Address | float] = {"dst": output.address, "dst_row": output.row, "rows": rows, "count": columns * channels}
    if output.layout.element == FLOAT32:  # int32 is padded with 0 only, whose bits are the same
        packer.emit("fill_f32", value=step.value, **area)
    elif output.layout.element == INT16:
        packer.emit("fill_i16", value=int(step.value), **area)
    else:
        packer.emit("fill_bytes", byte=(int(step.value) & 0xFF) ^ isa.CODE_FLIP, **area)
    before = tuple(pads[0] for pads in step.pads)
    _move(packer, source.address, _strides(source), _offset(output, before), _strides(output), source.layout.shape)


def pack_crop(step: p.Crop, packer: Packer) -> None:
    """Copy the part."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    _move(packer, _offset(source, step.starts), _strides(source), output.address, _strides(output), output.layout.shape)


def pack_transpose(step: p.Transpose, packer: Packer) -> None:
    """Copy with the input's steps in the output's order."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    steps = tuple(_strides(source)[axis] for axis in step.permutation)
    _move(packer, source.address, steps, output.address, _strides(output), output.layout.shape)


def pack_reshape(step: p.Reshape, packer: Packer) -> None:
    """Copy where the memory could not be shared."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    if source.address == output.address:
        return
    packer.emit(
        "reshape",
        src=source.address,
        src_row=source.row,
        src_count=source.layout.shape[1] * source.pixel,
        dst=output.address,
        dst_row=output.row,
        dst_count=output.layout.shape[1] * output.pixel,
        total=int(np.prod(output.layout.shape)) * output.layout.element,
    )


def resize_scratch(step: p.Resize, program: p.Program, options: Options) -> Mapping[str, int]:
    """Return the scratch of a resampling of codes in integers: two rows of sums for every share."""
    if p.step_dtype(step, program) != "int8" or step.function == "nearest" or not _goes_by_integers(step):
        return {}
    _, columns, channels = program.buffers[step.output].shape
    return {"lines": 2 * 4 * columns * channels * parts.most_shares(options.threads)}


def _goes_by_integers(step: p.Resize) -> bool:
    """Whether a bilinear resampling of int8 codes is exact in integers.

    One of float32 weights is where no operation rounds: their fractions have few bits, as a step between pixels of 1/16 has.
    """
    if step.truncation_offset is not None:
        return False
    if not step.adds_half:
        return True
    pairs = [np.asarray(one, np.float64) for one in (step.row_weights, step.column_weights)]
    bits = [next((k for k in range(WEIGHT_BITS + 1) if (one * 2.0**k % 1 == 0).all()), SIGNIFICANT_BITS) for one in pairs]
    are_weights = all((one >= 0).all() and (one.sum(axis=1) == 1).all() for one in pairs)
    return are_weights and sum(bits) <= SIGNIFICANT_BITS - CODE_BITS


def pack_resize(step: p.Resize, packer: Packer) -> None:
    """Emit a resampling."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    rows, columns, channels = output.layout.shape
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
    weights: type[np.generic] = np.int32
    operation = f"bilinear_{suffix(packer.buffer(step.output).dtype)}"
    row_weights, column_weights = step.row_weights, step.column_weights
    if output.layout.element == FLOAT32:
        weights = np.float32
    elif step.truncation_offset is not None:
        operation, weights = "bilinear_truncated_i8", np.float32
        arguments["offset"] = step.truncation_offset
    elif step.adds_half and not _goes_by_integers(step):
        operation, weights = "bilinear_half_i8", np.float32
    elif operation == "bilinear_i8":
        if step.adds_half:
            row_weights, column_weights = (np.asarray(one) * 2**WEIGHT_BITS for one in (row_weights, column_weights))
        operation = operation if step.even_from is None else "bilinear_even_i8"
        lines = packer.scratch(step, "lines")
        arguments |= {"zero": step.even_from or 0, "away": int(not step.adds_half), "lines": lines}
    packer.emit(
        operation,
        channels=channels,
        row_weight=packer.constant(np.asarray(row_weights, weights)),
        column_weight=packer.constant(np.asarray(column_weights, weights)),
        **arguments,
    )
