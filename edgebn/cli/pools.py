"""--pool: memories of different speed that a network's arena is spread over, and what went where in words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from codegen.pools import Filled, parse


def add_pool_option(parser: argparse.ArgumentParser) -> None:
    """Add --pool."""
    parser.add_argument(
        "--pool",
        type=parse,
        action="append",
        default=[],
        metavar="NAME[=BYTES]",
        help="a memory that the arena is spread over, and its size, or all that the board has of it; once for each, the fastest "
        "first",
    )


def said(pools: Sequence[Filled]) -> list[str]:
    """Return what stands in each pool, and what is read and written there, a line each."""
    total = sum(filled.traffic for filled in pools)
    lines = []
    for filled in pools:
        scratch = [f"scratch memory of {len(filled.scratch)} steps"] if filled.scratch else []
        lines.append(
            f"pool {filled.name}: {filled.taken:,} of {filled.size:,} bytes, {filled.traffic:,} bytes of values read and written "
            f"({filled.traffic / total if total else 0.0:.0%}): {', '.join([*scratch, *filled.held]) or 'nothing'}"
        )
    return lines
