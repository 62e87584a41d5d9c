"""Packs int8 products of a map and one code for each channel (squeeze-and-excite) for the vector kernel `scale_tile_i8`."""

from __future__ import annotations

from collections.abc import Mapping

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.session import parts
from edgebn.session.options import Options
from edgebn.session.packer import Address, Packer

MAX_TOGETHER = 8  # pixels
WASTE = 1.1  # bytes of whole vectors over bytes of pixels, from which on more pixels are not taken together


def scratch(step: p.Multiply, program: p.Program, options: Options) -> Mapping[str, int]:
    """Return the scratch of a product: the factors of as many pixels as are taken together, for every share."""
    shapes = [program.buffers[name].shape for name in (*step.inputs, step.output)]
    pixels = _together(step, shapes[2][0] * shapes[2][1], program) if _factors(step, program) is not None else 0
    return {"table": 4 * pixels * shapes[2][2] * parts.most_shares(options.threads)} if pixels else {}


def emit(step: p.Multiply, packer: Packer, scaling: Mapping[str, Address | float]) -> bool:
    """Emit a product for the vector kernel, where it is one by channel and can be exact; say whether it was.

    Parameters
    ----------
    scaling : mapping
        The integer form, as `multiply_i8` names it: of the inputs in their order.
    """
    second, form = _factors(step, packer.program), step.arithmetic
    if second is None or form is None:
        return False
    source, factors, output = (packer.view(name) for name in (step.inputs[1 - second], step.inputs[second], step.output))
    rows, columns, channels = output.layout.shape
    if all(view.row == columns * channels for view in (source, output)):
        rows, columns = 1, rows * columns
    together = _together(step, columns, packer.program)
    if not together or any(view.pixel != channels for view in (source, output)):
        return False
    from edgebn.kernels.scale_int8_proof import scaling_proof

    proof = scaling_proof((form.m, form.r, form.s, form.neg), (form.zero_point, form.qmin, form.qmax))
    if proof is None:
        return False
    zeros = {"a_zero": scaling["ab"[1 - second] + "_zero"], "b_zero": scaling["ab"[second] + "_zero"]}
    packer.emit(
        "scale_tile_i8",
        a=source.address,
        a_row=source.row,
        b=factors.address,
        dst=output.address,
        dst_row=output.row,
        rows=rows,
        columns=columns,
        channels=channels,
        together=together,
        table=packer.scratch(step, "table"),
        **{**scaling, **zeros},
        **proof,
    )
    return True


def _factors(step: p.Multiply, program: p.Program) -> int | None:
    """Return which input has one code for each channel of a larger map, if the kernel is there for both."""
    from edgebn.kernels import executor

    if p.step_dtype(step, program) != "int8" or "scale_tile_i8" not in executor.operations():
        return None
    shape = program.buffers[step.output].shape
    shapes = [program.buffers[name].shape for name in step.inputs]
    by_channel = [one == (1, 1, shape[2]) and other == shape != one for one, other in zip(shapes, reversed(shapes), strict=True)]
    return by_channel.index(True) if any(by_channel) else None


def _together(step: p.Multiply, columns: int, program: p.Program) -> int:
    """Return how many pixels of a row are taken together, at least a vector; 0 where a row has fewer."""
    channels, width = program.buffers[step.output].shape[2], isa.SELECTED.vector_bytes
    fewest = -(-width // channels)
    if fewest > columns:
        return 0
    counts = range(fewest, max(fewest, min(columns, MAX_TOGETHER)) + 1)

    def waste(count: int) -> float:
        return -(-count * channels // width) * width / (count * channels)

    return next((count for count in counts if waste(count) <= WASTE), min(counts, key=waste))
