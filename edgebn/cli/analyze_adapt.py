"""`edgebn analyze --adapt --board X`: which layers to adapt within a board's memory and time, by benefit for their bytes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import boards
from boards import Board
from codegen import fit
from codegen.adaptation import CODES, DEFAULT_POLICY, Plan
from codegen.emit import list_network
from edgebn import api
from edgebn import program as p
from edgebn.adapt import adaptable
from edgebn.adapt.choosing import Choice, Cost, Limits, Ranked, choose
from edgebn.adapt.evaluate import evaluate
from edgebn.adapt.streams import ORDERS
from edgebn.adapt.subset import adapting_only
from edgebn.cli.adapt import Case, add_stream_options, cases, home_images, with_tables
from edgebn.cli.adapt_cost import Counted, count_instructions
from edgebn.cli.screen import Screen
from edgebn.cli.values import count, number
from edgebn.errors import ModelError

SAMPLES = 300  # of each stream by default: every layer is left out once a round


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --adapt and what goes with it."""
    group = parser.add_argument_group(
        "which layers to adapt", "ranks the layers of an int8 model by what adapting each is worth on labelled, shifted data"
    )
    group.add_argument("--adapt", action="store_true", help="rank layers for --board, on --data")
    group.add_argument("--data", dest="stream", type=Path, metavar="FILE", help="labelled inputs, shifted as they will be")
    group.add_argument("--policy", choices=tuple(CODES), default=DEFAULT_POLICY, help=f"default {DEFAULT_POLICY}")
    group.add_argument("--ram", type=count, metavar="BYTES", help="for adaptation; default what the board has left")
    group.add_argument("--flash", type=count, metavar="BYTES", help="for adaptation; default what the board has left")
    group.add_argument(
        "--instructions", type=number, metavar="PERCENT", help="that adaptation may add to an inference; default any number"
    )
    add_stream_options(parser, required=False)


def run(program: p.Program, arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Rank, choose and say how to get what was chosen."""
    for option, value in (("--board", arguments.board), ("--data", arguments.stream), ("--labels", arguments.labels)):
        if value is None:
            raise ModelError(f"{arguments.model}: --adapt needs {option}: a layer's benefit is counted in errors on labelled data")
    arguments.limit = arguments.limit or SAMPLES
    arguments.order = arguments.order or list(ORDERS)
    board = boards.load(arguments.board)
    bare = list_network(program)
    fit.check(bare, board)
    wanted = program
    program = with_tables(program, arguments, screen)
    if program.adaptation is None or not program.adaptation.classes:
        raise ModelError(f"{arguments.model}: the network does not classify, so there are no errors to count")
    listing = list_network(program, policy=arguments.policy)
    plan = listing.adaptation
    assert plan is not None
    streams = cases(program, arguments)
    counted = count_instructions(listing, board, streams[0].images, screen)
    costs = {layer.observation.step: _cost(plan, layer, counted) for layer in plan.layers}
    left_ram = board.ram.size - board.stack - bare.arena.size - (plan.ram_bytes - sum(cost.ram for cost in costs.values()))
    limits = Limits(
        left_ram if arguments.ram is None else arguments.ram,
        board.flash.size - bare.flash_bytes if arguments.flash is None else arguments.flash,
        _instruction_limit(arguments.instructions, counted),
    )
    with screen.progress("leaving layers out") as progress:
        chosen = choose(program, arguments.policy, costs, limits, [(one.images, one.labels) for one in streams], progress)
    _show(chosen, board, limits, counted, streams, screen)
    dropped = {layer.step: 0 for layer in chosen.layers if not layer.chosen}
    report = {
        "board": board.name,
        "policy": arguments.policy,
        "streams": [{"domain": one.name, "order": one.order, "samples": len(one.labels)} for one in streams],
        "counted_on": counted.board if counted else None,
        "instructions": counted.inference if counted else None,
        "limits": asdict(limits),
        "layers": [_as_dict(layer) for layer in chosen.layers],
        "errors": dict(chosen.errors),
        "rows": dropped,
    }
    if not chosen.chosen:
        screen.say("no layer fits: this model cannot adapt within these limits")
        return report
    if arguments.output:
        report["error_written"] = _write(wanted, program, chosen, dropped, streams, arguments, screen)
    elif dropped:
        rows = " ".join(f"--rows '{step}=0'" for step in dropped)
        screen.say(f"to get these layers, give -o OUT.edgebn here, or `edgebn adapt ... --home FILE {rows} -o OUT.edgebn`,")
        screen.say(f"or in Python edgebn.adaptable(model, images, rows={dropped})")
    return report


def _cost(plan: Plan, layer: Any, counted: Counted | None) -> Cost:
    instructions = None
    if counted is not None:
        learning = round(counted.learning * layer.channels / plan.channels)
        instructions = counted.observing[layer.observation.step] + learning
    return Cost(plan.layer_ram(layer), plan.layer_flash(layer), instructions)


def _instruction_limit(percent: float | None, counted: Counted | None) -> int | None:
    if percent is None:
        return None
    if counted is None:
        raise ModelError("--instructions: nothing here counts instructions for this board; leave the option out")
    return int(percent / 100 * counted.inference)


def _write(
    wanted: p.Program,
    program: p.Program,
    chosen: Choice,
    dropped: Mapping[str, int],
    streams: list[Case],
    arguments: argparse.Namespace,
    screen: Screen,
) -> float:
    """Write the model that adapts the chosen layers, its tables measured anew where --home is given; return its mean error."""
    if arguments.home is not None and dropped:
        with screen.progress("measuring source tables") as progress:
            made = adaptable(wanted, home_images(wanted, arguments), rows=dict(dropped), progress=progress)
    else:
        made = adapting_only(program, chosen.chosen)
    api.save(made, arguments.output)
    error = float(np.mean([evaluate(made, one.images, one.labels, arguments.policy).error for one in streams]))
    screen.say(f"wrote {arguments.output}: adapts {len(chosen.chosen)} layers, {error:.1f} % errors on these streams")
    return error


def _show(chosen: Choice, board: Board, limits: Limits, counted: Counted | None, streams: list[Case], screen: Screen) -> None:
    rows = [
        (
            layer.step,
            layer.cost.ram,
            layer.cost.flash,
            "-" if layer.cost.instructions is None else layer.cost.instructions,
            layer.benefit,
            layer.uncertainty,
            layer.per_kilobyte,
            layer.chosen,
        )
        for layer in chosen.layers
    ]
    columns = ("layer", "RAM B", "flash B", "instructions", "benefit", "+-", "for 1 kB", "adapt")
    screen.table(f"adapting each layer on {board.name}; benefit in points of error, others adapting too", columns, rows)
    errors = chosen.errors
    screen.say(
        f"{len(streams)} streams of {len(streams[0].labels)} samples: {errors['none']:.1f} % errors without adaptation, "
        f"{errors['all']:.1f} % with all layers, {errors['chosen']:.1f} % with the {len(chosen.chosen)} chosen"
    )
    taken = [layer.cost for layer in chosen.layers if layer.chosen]
    for name, unit in (("ram", "bytes of RAM"), ("flash", "bytes of flash"), ("instructions", "instructions an inference")):
        parts, limit = [getattr(cost, name) for cost in taken], getattr(limits, name)
        if None not in parts and parts:
            within = "" if limit is None else f" of {limit:,}"
            screen.say(f"  {sum(parts):,}{within} {unit}")
    if counted is None:
        screen.say("  instructions: not counted, as no emulator here has this core")
    else:
        same = "" if counted.board == board.name else f", which has the same core ({board.core})"
        screen.say(f"  counted on {counted.board}{same}: {counted.inference:,} instructions an inference without adaptation,")
        screen.say("  and learning after every inference with the gate open")


def _as_dict(layer: Ranked) -> dict[str, Any]:
    return {**asdict(layer), "benefit_per_kilobyte": layer.per_kilobyte}
