"""`edgebn bench`: how long one inference takes on this machine."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from edgebn.cli import page_file
from edgebn.cli.inputs import Inputs
from edgebn.cli.models import add_model_argument, add_session_options, load_model, open_session
from edgebn.cli.screen import Screen
from edgebn.cli.values import count
from edgebn.program import CODE_RANGES, Program, takes_codes

HELP = "time one inference on this machine"
DESCRIPTION = "Time single inferences (batch 1) with made-up inputs, after a warm-up."

WARM_UP_RUNS = 5
SEED = 0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("--runs", type=count, default=100, metavar="N", help="timed inferences; default 100")
    add_session_options(parser)
    page_file.add_report_option(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Time one model."""
    program = load_model(arguments.model, arguments)
    settings = {"threads": arguments.threads, "winograd": arguments.winograd}
    times = time_program(program, arguments.runs, screen, **settings)
    report = {"model": str(arguments.model), "dtype": program.dtype, **settings, **times}
    threads = "one thread" if report["threads"] == 1 else f"up to {report['threads']} threads"
    screen.say(f"{arguments.model} ({program.dtype}, {report['instruction_set']}, {threads})")
    screen.say(f"  ready after {report['construction_seconds']:.2f} s")
    screen.say(
        f"  {report['runs']} inferences: median {report['median_ms']:.3f} ms, minimum {report['minimum_ms']:.3f} ms, "
        f"{report['inferences_per_second']:.0f} a second"
    )
    screen.say(f"  arena {report['arena_bytes']:,} bytes, proved lower bound {report['arena_lower_bound']:,} bytes")
    if arguments.report:
        from edgebn.cli.report import timed

        parts = {"bench": report, "time": timed(program, screen, winograd=arguments.winograd)}
        page_file.write(arguments.report, program, arguments, screen, parts)
    return report


def time_program(program: Program, runs: int, screen: Screen, threads: int | str = 1, *, winograd: bool = True) -> dict[str, Any]:
    """Return median and minimum in milliseconds over `runs` inferences of one random sample, and the session's arena."""
    started = time.perf_counter()
    session = open_session(program, screen, threads, winograd=winograd)
    constructed = time.perf_counter() - started
    x = made_up(program)
    for _ in range(WARM_UP_RUNS):
        session.run(x)
    times = []
    for _ in range(runs):
        before = time.perf_counter_ns()
        session.run(x)
        times.append((time.perf_counter_ns() - before) / 1e6)
    return {
        "instruction_set": session.instruction_set,
        "threads": session.threads,
        "runs": len(times),
        "construction_seconds": constructed,
        "arena_bytes": session.plan.size,
        "arena_lower_bound": session.plan.lower_bound,
        "median_ms": float(np.median(times)),
        "minimum_ms": min(times),
        "inferences_per_second": 1000.0 / float(np.median(times)),
    }


def made_up(program: Program) -> Inputs:
    """Return one random sample: codes where the network takes such, else reals from 0 to 1."""
    random = np.random.default_rng(SEED)
    inputs: dict[str, np.ndarray] = {}
    for name in program.inputs:
        shape = (1, *program.shapes[name])
        if takes_codes(program):
            dtype = program.buffers[name].dtype
            least, most = CODE_RANGES[dtype]
            inputs[name] = random.integers(least, most + 1, shape).astype(dtype)
        else:
            inputs[name] = random.random(shape, np.float32)
    return inputs if len(inputs) > 1 else inputs[program.inputs[0]]
