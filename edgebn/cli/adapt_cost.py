"""What adaptation takes of a core's instructions, layer by layer, counted on an emulated board over its serial line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import boards
from boards import Board, emulator, toolchain
from codegen.project import Listing
from edgebn import reference
from edgebn.cli.device.samples import sample, to_bytes
from edgebn.cli.device.target import emulated
from edgebn.cli.screen import Screen
from edgebn.errors import BoardError

LEARNED = 40  # samples: until the gate is open, if it opens at all


@dataclass(frozen=True)
class Counted:
    """Instructions.

    Attributes
    ----------
    board : str
        The emulated board that they were counted on.
    inference : int
        Without adaptation.
    observing : dict of step name to int
        What gathering statistics adds to an inference.
    learning : int
        Of learning and folding after one, at most.
    """

    board: str
    inference: int
    observing: dict[str, int]
    learning: int


def counting_board(board: Board) -> Board | None:
    """Return the board itself where an emulator counts its instructions, else one with the same core, else None."""
    others = (boards.load(name) for name in boards.names())
    for candidate in (board, *(one for one in others if one.core == board.core)):
        counts = candidate.kind == "emulated" and candidate.timer.ticks_per_instruction
        if counts and emulator.is_available(candidate) and toolchain.has_compiler(candidate):
            return candidate
    return None


def count_instructions(listing: Listing, board: Board, images: np.ndarray, screen: Screen) -> Counted | None:
    """Count on the board, or on one with its core; None where there is none, or the network does not fit it.

    Parameters
    ----------
    listing : Listing
        Of an adapting network.
    board : Board
    images : ndarray (N, ...)
        A stream, real values or codes.
    screen : Screen
    """
    emulated_board, program = counting_board(board), listing.program
    assert listing.adaptation is not None
    if emulated_board is None:
        return None
    codes = images[:LEARNED]
    if codes.dtype != np.int8:
        codes = reference.quantize_real(codes, program.buffers[program.inputs[0]])
    inputs = [to_bytes(program, sample(program, codes, i)) for i in range(len(codes))]
    try:
        with emulated(program, emulated_board.name, screen, listing.adaptation.policy) as target:
            plain, observed = target.device.run_ticks(inputs[0]), target.device.run_observed(inputs[0])
            with screen.progress(f"counting on {emulated_board.name}") as progress:
                learning = 0
                for i, data in enumerate(inputs):
                    learning = max(learning, target.device.learn(data).learning)
                    progress(i + 1, len(inputs))
            whole = target.device.run(inputs[0]).ticks
    except BoardError as error:
        screen.say(f"instructions are not counted: {error}")
        return None
    count = emulated_board.timer.instructions
    before = {layer.step: count(layer.ticks) or 0 for layer in plain.layers}
    added = {layer.step: max((count(layer.ticks) or 0) - before[layer.step], 0) for layer in observed.layers}
    return Counted(emulated_board.name, count(whole) or 0, _by_layer(listing, added), count(learning) or 0)


def _by_layer(listing: Listing, added: dict[int, int]) -> dict[str, int]:
    """Return what observing adds by adapted step; of adapted steps that one kernel computes, each takes its channels' share."""
    plan = listing.adaptation
    assert plan is not None
    channels = {layer.observation.step: layer.channels for layer in plan.layers}
    found = {}
    for action in listing.actions:
        mine = [name for name in (listing.program.steps[index].name for index in action.steps) if name in channels]
        for name in mine:
            share = channels[name] / sum(channels[one] for one in mine)
            found[name] = round(added.get(action.steps[-1], 0) * share)
    return found
