"""`edgebn adapt`: adaptation policies side by side on streams made from labelled data."""

from __future__ import annotations

import argparse
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebn import api
from edgebn.adapt import adaptable
from edgebn.adapt.evaluate import Trace, evaluate
from edgebn.adapt.labels import checked_labels
from edgebn.adapt.policies import POLICIES
from edgebn.adapt.streams import ORDERS, SEQUENCES, Stream, arrange, continual, mixed
from edgebn.cli import page_file
from edgebn.cli.inputs import Inputs, add_input_options, load_inputs, load_labelled, load_labels
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file, number, step_rows
from edgebn.errors import ModelError
from edgebn.program import Program

HELP = "compare adaptation policies on a stream"
DESCRIPTION = (
    "Run labelled data through a network that adapts while it runs, one sample at a time, and compare policies: on shuffled, "
    "class-sorted and Dirichlet streams, on several domains apart, one after another, or mixed. The labels only count errors."
)
UNTAUGHT = tuple(name for name, policy in POLICIES.items() if not policy.needs_labels)
DEFAULT_POLICIES = ("compensated-tracking", "compensated", "moments")


@dataclass(frozen=True)
class Case:
    """One stream: its name, its inputs in order, their labels."""

    name: str
    order: str
    images: np.ndarray
    labels: np.ndarray


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("stream", type=Path, metavar="STREAM", help="labelled inputs; an .npz may hold several domains")
    add_stream_options(parser, required=True)
    parser.add_argument("--sequence", choices=SEQUENCES, help="domains one after another, or drawn sample by sample; default apart")
    parser.add_argument(
        "--policy", action="append", choices=UNTAUGHT, help=f"again for several; default {', '.join(DEFAULT_POLICIES)}"
    )
    parser.add_argument("--plot", type=new_file, metavar="OUT.png", help="accuracy over time and drift by layer (with matplotlib)")
    page_file.add_report_option(parser)


def add_stream_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add what says which streams are made of a file, and what source tables are measured on."""
    parser.add_argument("--labels", required=required, metavar="KEY|FILE", help="an array of the inputs' .npz, or a .npy file")
    parser.add_argument(
        "--home", type=Path, metavar="FILE", help="typical inputs to measure source tables on; not needed if MODEL holds some"
    )
    parser.add_argument("--home-key", metavar="NAME", help="which array of --home's .npz; by default the one that fits")
    parser.add_argument("--home-scale", type=number, metavar="S", help="see --scale, for --home; default the same")
    parser.add_argument(
        "--rows",
        action="append",
        type=step_rows,
        default=[],
        metavar="STEP=N",
        help="observe every N-th row of a layer's output, 0 to leave it out; again for several layers",
    )
    parser.add_argument("--output", "-o", type=new_file, metavar="OUT.edgebn", help="also write the model with its source tables")
    parser.add_argument(
        "--domain", action="append", default=[], metavar="NAME", help="an array of the inputs' .npz; again for several domains"
    )
    parser.add_argument("--order", action="append", choices=ORDERS, help="of the samples; again for several; default all three")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the orders; default 0")
    add_input_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Compare policies on every stream asked for."""
    program = with_tables(load_model(arguments.model, arguments), arguments, screen)
    if arguments.output:
        api.save(program, arguments.output)
        screen.say(f"wrote {arguments.output}, {arguments.output.stat().st_size:,} bytes")
    if program.adaptation is None or not program.adaptation.classes:
        raise ModelError(f"{arguments.model}: the network does not classify, so there are no errors to count")
    traces: list[tuple[Case, list[Trace]]] = []
    for case in cases(program, arguments, arguments.sequence):
        ran = [evaluate(program, case.images, case.labels, None)]
        for policy in dict.fromkeys(arguments.policy or DEFAULT_POLICIES):
            with screen.progress(f"{case.name}, {case.order}: {policy}") as progress:
                ran.append(evaluate(program, case.images, case.labels, policy, progress=progress))
        traces.append((case, ran))
    rows = [(case.name, case.order, one.policy, one.error, one.error - ran[0].error) for case, ran in traces for one in ran]
    screen.table(f"{arguments.stream}: errors in %", ("domain", "order", "policy", "error %", "change"), rows)
    if arguments.plot:
        from edgebn.cli.adapt_plot import plot

        plot(arguments.plot, [(f"{case.name}, {case.order}", ran) for case, ran in traces])
        screen.say(f"wrote {arguments.plot}")
    if arguments.report:
        from edgebn.report.gather import adaptation

        streams = [adaptation(case.name, case.order, ran) for case, ran in traces]
        page_file.write(arguments.report, program, arguments, screen, {"adaptation": streams})
    return {
        "model": str(arguments.model),
        "stream": str(arguments.stream),
        "results": [_result(case, one) for case, ran in traces for one in ran],
    }


def with_tables(program: Program, arguments: argparse.Namespace, screen: Screen) -> Program:
    """Return the model with source tables: its own, or measured on --home."""
    if arguments.home is None and program.adaptation is None:
        raise ModelError(f"{arguments.model} has no source tables; give typical inputs with --home")
    if arguments.home is None:
        return program
    rows = dict(arguments.rows)
    unknown = sorted(rows.keys() - {step.name for step in program.steps})
    if unknown:
        raise ModelError(f"{arguments.model} has no step '{unknown[0]}'; `edgebn analyze` lists them")
    with screen.progress("measuring source tables") as progress:
        return adaptable(program, home_images(program, arguments), rows=rows or None, progress=progress)


def home_images(program: Program, arguments: argparse.Namespace) -> Inputs:
    """Return the typical inputs that --home names."""
    options = copy(arguments)
    options.key, options.limit = arguments.home_key, None
    if arguments.home_scale is not None:
        options.scale = arguments.home_scale
    return load_inputs(arguments.home, program, options)


def cases(program: Program, arguments: argparse.Namespace, sequence: str | None = None) -> list[Case]:
    """Return the streams asked for."""
    every = load_labels(arguments.labels, arguments.stream)
    names = arguments.domain or [arguments.key or arguments.stream.name]
    domains = []
    for name in arguments.domain or [arguments.key]:
        options = copy(arguments)
        options.key = name
        images, labels = load_labelled(arguments.stream, every, program, options)
        if isinstance(images, dict):
            raise ModelError(f"{arguments.model} has several inputs; `edgebn adapt` takes networks with one")
        if program.adaptation is not None and program.adaptation.classes:
            checked_labels(program, labels, len(labels), program.adaptation.classes)
        domains.append(images)
    made = []
    for order in arguments.order or ORDERS:
        if sequence:
            maker = continual if sequence == "continual" else mixed
            stream = maker(labels, range(len(domains)), order, arguments.seed)
            made.append(Case(sequence, order, *picked(stream, domains, labels)))
        else:
            at = arrange(labels, order, arguments.seed)
            made += [Case(name, order, images[at], labels[at]) for name, images in zip(names, domains, strict=True)]
    return made


def picked(stream: Stream, domains: list[np.ndarray], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a stream's samples and labels."""
    images = np.stack([domains[domain][index] for domain, index in zip(stream.domain, stream.index, strict=True)])
    return images, labels[stream.index]


def _result(case: Case, trace: Trace) -> dict[str, Any]:
    last = {name: float(value) for name, value in zip(trace.layers, trace.drift[-1], strict=True)} if len(trace.at) else {}
    return {
        "domain": case.name,
        "order": case.order,
        "policy": trace.policy,
        "samples": len(trace.correct),
        "error": trace.error,
        "watchdog_trips": len(trace.trips),
        "drift": last,
    }
