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
    copies = copies_in_ram(listing, board)
    _check_pools(listing, board)
    ram = in_ram(listing, board) + states + adaptive + copies + board.stack
    if ram > board.ram.size:
        learning = f"{adaptive:,} of adaptation, " if adaptive else f"{states:,} of states, " if states else ""
        learning += f"{copies:,} of weights, " if copies else ""
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


def copies_in_ram(listing: Listing, board: Board) -> int:
    """Return the bytes of copied weights that lie in a board's RAM, and in none of its other memories."""
    return 0 if listing.in_ram is None or listing.in_ram.pool in board.pools else listing.in_ram.bytes


def _check_pools(listing: Listing, board: Board) -> None:
    for filled in listing.arena.pools:
        memory = board.pools.get(filled.name)
        copies = listing.in_ram.bytes if listing.in_ram and listing.in_ram.pool == filled.name else 0
        if memory is not None and filled.taken + copies > memory.size:
            raise BoardError(
                f"{listing.program.source} does not fit {board.name}: {filled.taken + copies:,} bytes are in the pool "
                f"{filled.name}, and that memory has {memory.size:,}; give the pool that size"
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
