"""How many shares a step is split into for threads, and how large each is; what a share is of, `shares.py` says."""

from __future__ import annotations

from edgebn.kernels.records import MASK_BITS

# Shares of each thread's part of the work, largest first: who is through early takes the last of another's.
PARTS = (0.5, 0.3, 0.2)
MAX_SHARES = MASK_BITS - 1  # of a phase


def most_shares(threads: int) -> int:
    """Return the most shares that a step is split into: how often scratch must be there."""
    return min(threads * len(PARTS), MAX_SHARES) if threads > 1 else 1


def fractions(shares: int, threads: int) -> list[float]:
    """Return where each of `shares` shares ends, as a fraction of the work: every thread has as many, the largest first."""
    parts = shares // threads
    if parts == 0 or shares % threads:
        return [(i + 1) / shares for i in range(shares)]
    sizes = [part / sum(PARTS[:parts]) for part in PARTS[:parts]] if parts <= len(PARTS) else [1 / parts] * parts
    ends, total = [], 0.0
    for _ in range(threads):
        for size in sizes:
            total += size / threads
            ends.append(total)
    return ends
