"""--pool and --weights-in-ram: memories of different speed that a network is spread over, and what went where in words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from codegen.pools import Filled, parse
from codegen.weights_in_ram import AUTO, InRam


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


def add_weights_option(parser: argparse.ArgumentParser) -> None:
    """Add --weights-in-ram."""
    parser.add_argument(
        "--weights-in-ram",
        type=_layers,
        default=(),
        metavar="LAYER[,LAYER...]",
        help="layers whose weights are copied to RAM and read there; auto: those of which most is read, as far as the first --pool "
        "has room left",
    )


def _layers(text: str) -> tuple[str, ...] | str:
    return AUTO if text == AUTO else tuple(text.split(","))


def told_of_weights(in_ram: InRam | None) -> dict[str, Any] | None:
    """Return which weights are copied to RAM, where to, and what is read of them; None where there are none."""
    if in_ram is None:
        return None
    return {"layers": list(in_ram.layers), "bytes": in_ram.bytes, "traffic": in_ram.traffic, "pool": in_ram.pool}


def said_of_weights(told: dict[str, Any] | None) -> list[str]:
    """Return the same in words."""
    if told is None:
        return []
    where = f"pool {told['pool']}" if told["pool"] else "RAM"
    read = f"{told['traffic']:,} bytes of them read, each once for every output position"
    return [f"weights in {where}: {told['bytes']:,} bytes, {read}: {', '.join(told['layers'])}"]


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
