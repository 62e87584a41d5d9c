"""`README.md` of a project: what it is, what it takes, how to build and call it. Text only."""

from __future__ import annotations

from boards import Board
from codegen.build_files import HOST
from codegen.constants import comment
from codegen.describe import shape_text
from codegen.listing import accessors, parameters
from codegen.project import Listing
from codegen.templating import fill
from edgebn.program import holds_codes


def source(listing: Listing, board: Board, about_main: str) -> str:
    """Return the text."""
    program, name = listing.program, listing.name
    rows = []
    for buffer, parameter in (*listing.values.inputs, *listing.values.outputs):
        value = program.buffers[buffer]
        codes = f"scale {value.scale:.9g}, zero point {value.zero_point}" if holds_codes(value) else ""
        rows.append(f"| `{parameter}` | {shape_text(value.shape)} | {value.dtype} | {codes} |")
    places = [f"`{name}_{parameter}()`" for parameter, _, _ in accessors(listing)]
    return fill(
        "README.md.in",
        name=name,
        static=_static(listing),
        upper=name.upper(),
        title=comment(listing.title),
        dtype=program.dtype,
        hash=listing.model_hash,
        values="\n".join(rows),
        flash=f"{listing.flash_bytes:,}",
        arena=f"{listing.arena.size:,}",
        peak=comment(program.steps[listing.arena.fullest_step(listing.actions)].name) if program.steps else "nothing",
        live=", ".join(f"{comment(owner)} {size:,}" for owner, size in listing.arena.live) or "nothing",
        board=board.name,
        board_title=board.title,
        board_note=board.note,
        flash_image=_image(board),
        bare="; or: cc -O2 *.c" if board.kind == HOST else "",
        core=board.core,
        compiler=board.compiler,
        signature=f"{name}_run({parameters(listing)})",
        places=", ".join(places) or "none",
        about_main=about_main.rstrip(),
    )


def _static(listing: Listing) -> str:
    """Return what memory is there from the beginning."""
    arena = "the arena"
    if listing.in_ram:
        arena += f", {listing.in_ram.bytes:,} bytes of copied weights"
    if listing.program.states:
        return f"{arena} and {listing.values.state_bytes:,} bytes of states, which live from run to run"
    if listing.adaptation is None:
        return arena
    nbytes = listing.adaptation.ram_bytes
    return f"{arena} and {nbytes:,} bytes of adaptation, whose `kernels/edgebn_adapt.c` wants to be compiled too"


def _image(board: Board) -> str:
    """Return how the program gets into the board's flash."""
    if board.kind != "real":
        return ""
    return f"\n`build/*.elf` is for debuggers, `build/*.bin` is the image of the flash from 0x{board.flash_address:08X} on.\n"
