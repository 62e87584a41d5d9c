"""What a network takes of a board: flash, RAM and stack used and left, instructions as an emulator counts them, cycles and time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import codegen
from boards import Board, counting, emulator, pace, toolchain
from boards.tidy import temporary_folder
from codegen import fit
from codegen.emit import list_network
from codegen.footprint import measure
from codegen.pools import Pool, sized
from codegen.project import Listing
from edgebn.cli.device.samples import drawn, sample, to_bytes
from edgebn.cli.device.target import emulated
from edgebn.cli.screen import Screen
from edgebn.errors import BoardError
from edgebn.program import Program

Counted = tuple[int, list[dict[str, Any]]]  # instructions of one inference, and of each layer


def memory_of(listing: Listing, board: Board) -> dict[str, Any]:
    """Return what a network's constants and values take, whether they fit, and why not."""
    why = None
    try:
        fit.check(listing, board)
    except BoardError as error:
        why = str(error)
    ram = fit.in_ram(listing, board) + listing.values.state_bytes + fit.copies_in_ram(listing, board) + board.stack
    return {
        "board": board.name,
        "fits": why is None,
        "why_not": why,
        "flash_bytes": listing.flash_bytes,
        "flash_left": board.flash.size - listing.flash_bytes,
        "ram_bytes": ram,
        "ram_left": board.ram.size - ram,
    }


def cost_of(
    program: Program,
    board: Board,
    screen: Screen,
    counted: dict[str, Counted] | None = None,
    pools: Sequence[Pool] = (),
    weights_in_ram: Sequence[str] | str = (),
) -> dict[str, Any]:
    """Return what a network that fits costs on a board: code, stack, instructions, cycles and time, as far as they can be told.

    Parameters
    ----------
    program : Program
    board : Board
    screen : Screen
    counted : dict of str to tuple, optional
        What emulated boards counted already, by name: it is added to.
    pools : sequence of Pool
        Memories that the arena is spread over; what is counted runs from one.
    weights_in_ram : sequence of str, or 'auto'
        Layers whose weights are copied to RAM; what is counted reads them where they are.
    """
    if not toolchain.has_compiler(board):
        return {"not_counted": f"{board.compiler} is not installed"}
    with temporary_folder("edgebn-board-") as folder:
        name = None if board.system else board.name  # the network itself is the same for every board
        memories = sized(pools, board.pool_sizes, board.name)
        project = codegen.emit(program, Path(folder) / "project", name, pools=memories, weights_in_ram=weights_in_ram)
        taken = measure(project, board)
    told: dict[str, Any] = {
        "code_bytes": taken.code,
        "stack_bytes": taken.stack,
        "stack_left": None if taken.stack is None else board.stack - taken.stack,
    }
    counter = counting.counter_of(board)
    if counter is None:
        return told | {"not_counted": f"no emulator counts the instructions of a {board.core}"}
    if not toolchain.has_compiler(counter) or not emulator.is_available(counter):
        return told | {"not_counted": f"the emulator for a {board.core} is not installed"}
    known = {} if counted is None else counted
    if counter.name not in known:
        known[counter.name] = _count(program, counter, screen)
    instructions, layers = known[counter.name]
    return told | {
        "counted_on": counter.name,
        "instructions": instructions,
        **_time(program, board, instructions),
        "layers": layers,
    }


def _count(program: Program, counter: Board, screen: Screen) -> Counted:
    inputs = to_bytes(program, sample(program, drawn(program, 1), 0))
    with emulated(program, counter.name, screen) as target:
        total = target.instructions(target.device.run(inputs).ticks)
        layers = target.device.run_ticks(inputs).layers
        assert total is not None
        return total, [
            {"step": layer.step, "name": program.steps[layer.step].name, "instructions": target.instructions(layer.ticks)}
            for layer in layers
        ]


def _time(program: Program, board: Board, instructions: int) -> dict[str, Any]:
    """Return cycles and, where the board's clock is known, milliseconds; each with its range and its method."""
    external = board.clock is not None and board.clock.external_flash
    found = pace.cycles(board.core, instructions, is_int8=program.dtype == "int8", external_flash=external)
    told: dict[str, Any] = {
        "cycles": found.typical,
        "cycles_low": found.low,
        "cycles_high": found.high,
        "cycles_at_least": found.least,
        "method": found.method,
    }
    if board.clock is None:
        return told
    milliseconds = {
        f"milliseconds{name.removeprefix('cycles')}": None if value is None else 1000.0 * value / board.clock.rated_hz
        for name, value in told.items()
        if name.startswith("cycles")
    }
    return told | milliseconds | {"clock_hz": board.clock.rated_hz, "started_hz": board.clock.started_hz}


def time_text(told: dict[str, Any]) -> str:
    """Return the time in words, short: '36.7 ms (27.5 to 45.9)', 'more than 12 ms', or nothing."""
    if told.get("milliseconds") is not None:
        return f"{told['milliseconds']:.3g} ms ({told['milliseconds_low']:.3g} to {told['milliseconds_high']:.3g})"
    if told.get("milliseconds_at_least") is not None:
        return f"more than {told['milliseconds_at_least']:.3g} ms"
    return ""


def said(told: dict[str, Any]) -> list[str]:
    """Return the facts of one board in lines."""
    if not told["fits"]:
        return [str(told["why_not"])]
    flash = f"{told['flash_bytes']:,} bytes of flash for constants, {told['flash_left']:,} left for code"
    ram = f"{told['ram_bytes']:,} bytes of RAM, the stack among it, {told['ram_left']:,} left"
    lines = [f"on {told['board']}: {flash}; {ram}"]
    if "code_bytes" in told:
        stack = "an unknown" if told["stack_bytes"] is None else f"{told['stack_bytes']:,} bytes of"
        lines.append(f"its code takes {told['code_bytes']:,} bytes of that flash; an inference takes {stack} stack")
    if "not_counted" in told:
        return [*lines, f"no instructions counted: {told['not_counted']}"]
    if "instructions" in told:
        lines.append(f"{told['instructions']:,} instructions an inference, counted on {told['counted_on']}")
        time = time_text(told)
        if time:
            clock = f"at {told['clock_hz'] / 1e6:g} MHz"
            started = f" (emitted projects start at {told['started_hz'] / 1e6:g} MHz)"
            started = "" if told["started_hz"] == told["clock_hz"] else started
            lines.append(f"estimated {time} {clock}{started}: {told['method']}")
        elif told["cycles"] is not None:
            lines.append(f"estimated {told['cycles']:,} cycles: {told['method']}")
        else:
            lines.append(f"no time: {told['method']}")
    return lines


def for_all(program: Program, known: list[Board], screen: Screen) -> list[dict[str, Any]]:
    """Return what a network takes of each of several boards."""
    listing, counted = list_network(program), dict[str, Counted]()
    found = []
    for board in known:
        told = memory_of(listing, board)
        if told["fits"]:
            try:
                told |= cost_of(program, board, screen, counted)
            except BoardError as error:  # the linker has the last word
                told |= {"fits": False, "why_not": str(error)}
        found.append(told)
    return found
