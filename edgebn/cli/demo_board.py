"""The demo's stage on a microcontroller: firmware emitted, built, run in an emulator over its serial line, compared with Python."""

from __future__ import annotations

from typing import Any

import numpy as np

import boards
from boards import emulator, toolchain
from edgebn import reference
from edgebn.cli.device.samples import sample, to_bytes
from edgebn.cli.device.target import emulated
from edgebn.cli.device.verify import verify
from edgebn.cli.device.way import Alone
from edgebn.cli.models import open_session
from edgebn.cli.screen import Screen
from edgebn.errors import LinkError
from edgebn.program import Program

BOARD = "mps2-an386"
IMAGES = 20
VERIFIED = 1  # images of which every layer is compared


def unavailable() -> str:
    """Return why the board cannot be had here, or ''."""
    board = boards.load(BOARD)
    if not toolchain.has_compiler(board):
        return str(toolchain.missing(board.compiler))
    return "" if emulator.is_available(board) else str(emulator.unavailable(board))


def run(program: Program, images: np.ndarray, screen: Screen) -> dict[str, Any]:
    """Run the network on an emulated Cortex-M4F; one line says why where the tools are missing."""
    board = boards.load(BOARD)
    reason = unavailable()
    if reason:
        screen.say(f"skipped: {reason}")
        return {"skipped": reason}
    codes = reference.quantize_real(images[:IMAGES], program.buffers[program.inputs[0]])
    expected = open_session(program, screen).run(codes)
    with emulated(program, BOARD, screen) as target:
        found = [target.device.run(to_bytes(program, sample(program, codes, index))).output for index in range(len(codes))]
        equal = sum(output == row.tobytes() for output, row in zip(found, expected, strict=True))
        verdict = verify(program, target, Alone(program, codes, VERIFIED), lambda _done, _total: None)
        instructions = target.instructions(verdict.ticks)
        facts = target.facts()
    screen.say(f"{board.title}, {board.core}: firmware of {facts['flash']:,} bytes of flash and {facts['ram']:,} bytes of RAM,")
    screen.say(f"{instructions:,} instructions an inference, an arena of {facts['arena']:,} bytes")
    if equal < len(codes) or verdict.mismatches:
        raise LinkError(f"{BOARD} differs from Python: {len(codes) - equal} of {len(codes)} outputs, {verdict.mismatches} layers")
    screen.say(f"over the serial line, {equal} of {len(codes)} images: the board's bytes equal Python's, layer by layer too")
    return {**facts, "images": len(codes), "equal": equal, "mismatches": verdict.mismatches, "instructions": instructions}
