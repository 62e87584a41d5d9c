"""Whether a network fits a board, before any compiler is asked: constants against flash, arena and stack against RAM.

What it cannot know is the code, and what else a program keeps; for those the linker has the last word.
"""

from __future__ import annotations

from boards import Board
from codegen.project import Listing
from codegen.schedule import Action
from edgebn.errors import BoardError

_SHOWN = 3  # values that are named where the arena is too large


def check(listing: Listing, board: Board) -> None:
    """Refuse a network that cannot fit.

    Raises
    ------
    BoardError
        By how much it does not, and which layer decides it.
    """
    adaptive = listing.adaptation_bytes
    states = listing.values.state_bytes
    _check_pools(listing, board)
    ram = in_ram(listing, board) + states + adaptive + board.stack
    if ram > board.ram.size:
        learning = f"{adaptive:,} of adaptation, " if adaptive else f"{states:,} of states, " if states else ""
        raise BoardError(
            f"{listing.program.source} does not fit {board.name}: it needs {ram - board.ram.size:,} bytes more than the board's "
            f"{board.ram.size:,} bytes of RAM ({in_ram(listing, board):,} of arena, {learning}{board.stack:,} of stack). "
            f"{_fullest(listing)}"
        )
    missing = listing.flash_bytes - board.flash.size
    if missing > 0:
        raise BoardError(
            f"{listing.program.source} does not fit {board.name}: its constants alone need {missing:,} bytes more "
            f"than the board's {board.flash.size:,} bytes of flash. {_heaviest(listing)}"
        )


def in_ram(listing: Listing, board: Board) -> int:
    """Return the bytes of the arena that lie in a board's RAM, and in none of its other memories."""
    return listing.arena.size - sum(filled.taken for filled in listing.arena.pools if filled.name in board.pools)


def _check_pools(listing: Listing, board: Board) -> None:
    for filled in listing.arena.pools:
        memory = board.pools.get(filled.name)
        if memory is not None and filled.taken > memory.size:
            raise BoardError(
                f"{listing.program.source} does not fit {board.name}: {filled.taken:,} bytes are in the pool {filled.name}, and "
                f"that memory has {memory.size:,}; give the pool that size"
            )


def _fullest(listing: Listing) -> str:
    step = listing.program.steps[listing.arena.fullest_step(listing.actions)].name
    largest = sorted(listing.arena.live, key=lambda held: -held[1])[:_SHOWN]
    held = ", ".join(f"{owner} {size:,}" for owner, size in largest)
    return f"The layer that decides it is '{step}', which needs at once: {held}"


def _heaviest(listing: Listing) -> str:
    def constants(action: Action) -> int:
        return sum(array.nbytes for array in action.code.arrays)

    action = max(listing.actions, key=constants)
    return f"The layer with most of them is '{listing.program.steps[action.steps[-1]].name}': {constants(action):,} bytes"
