"""Which emulated board counts the instructions of a core. Starts no emulator."""

from __future__ import annotations

from boards import load
from boards.board import Board

# The instruction sets are the same: Armv6-M of M0 and M0+; RV32IMC, as our code has no atomics; and of Hazard3, of
# whose extensions our flags name none.
_COUNTERS = {
    "Cortex-M0": "mps2-an385-m0",
    "Cortex-M0+": "mps2-an385-m0",
    "Cortex-M3": "mps2-an385",
    "Cortex-M4F": "mps2-an386",
    "Cortex-M7": "mps2-an500",
    "Cortex-M33": "mps2-an505",
    "Cortex-M55": "mps3-an547",
    "RV32IMC": "qemu-riscv32-virt",
    "Hazard3": "qemu-riscv32-virt",
    "RV32IMAC": "qemu-riscv32-virt",
}


def counter_of(board: Board) -> Board | None:
    """Return the emulated board that counts for `board`: one with memory for any network; None where there is none."""
    name = _COUNTERS.get(board.core)
    return load(name) if name else None
