"""Packs the steps that make or read int32."""

from __future__ import annotations

from edgebn import program as p
from edgebn.functions import INTEGER_BINARY
from edgebn.session.operands import by_row, operands
from edgebn.session.packer import Address, Packer

_SUFFIX = {"float32": "f32", "int32": "i32", "int8": "i8"}


def pack_cast(step: p.Cast, packer: Packer) -> None:
    """Emit a cast."""
    packer.emit(f"cast_to_{_SUFFIX[packer.buffer(step.output).dtype]}", **by_row(step, packer))


def pack_integer_binary(step: p.IntegerBinary, packer: Packer) -> None:
    """Emit a comparison, or whole-number arithmetic."""
    operation = "compare_f32" if packer.buffer(step.inputs[0]).dtype == "float32" else "binary_i32"
    packer.emit(operation, function=list(INTEGER_BINARY).index(step.function), **operands(step, packer))


def pack_arg_extreme(step: p.ArgExtreme, packer: Packer) -> None:
    """Emit the search along an axis; the output holds the places found so far."""
    source, output = packer.view(step.inputs[0]), packer.view(step.output)
    from_steps = source.row, source.pixel, source.layout.element
    to_steps = output.row, output.pixel, output.layout.element
    arguments: dict[str, Address | float] = {"src": source.address, "dst": output.address}
    for place, axis in enumerate(axis for axis in range(3) if axis != step.axis):
        arguments[f"src_{place}"], arguments[f"dst_{place}"] = from_steps[axis], to_steps[axis]
        arguments[f"count_{place}"] = source.layout.shape[axis]
    arguments |= {"src_along": from_steps[step.axis], "along": source.layout.shape[step.axis]}
    arguments |= {"dst_along": to_steps[step.axis], "most": output.layout.shape[step.axis]}
    operation = f"arg_extreme_{_SUFFIX[packer.buffer(step.inputs[0]).dtype]}"
    packer.emit(operation, smallest=int(step.function == "min"), last=int(step.last), **arguments)


def pack_select(step: p.Select, packer: Packer) -> None:
    """Emit a choice."""
    packer.emit("select", element=packer.view(step.output).layout.element, **operands(step, packer, ("condition", "a", "b")))


def pack_gather_nd(step: p.GatherND, packer: Packer) -> None:
    """Emit the gathering of parts."""
    source, indices, output = (packer.view(name) for name in (*step.inputs, step.output))
    steps = source.row, source.pixel, source.layout.element
    arguments: dict[str, Address | float] = {}
    for place in range(3):
        axis = step.axis + place
        is_indexed = place < indices.layout.shape[2] - step.first
        arguments[f"size_{place}"], arguments[f"step_{place}"] = (source.layout.shape[axis], steps[axis]) if is_indexed else (0, 0)
    packer.emit(
        "gather_nd",
        src=source.address,
        indices=indices.address + 4 * step.first,
        indices_step=indices.pixel,
        dst=output.address,
        count=output.layout.shape[1],
        part=output.pixel,
        **arguments,
    )
