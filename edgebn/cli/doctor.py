"""`edgebn doctor`: what machine this is, whether every kernel gives the recorded bytes on it, and how fast it is: one block."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from typing import Any

from edgebn.cli.failure import FailedCheckError
from edgebn.cli.screen import Screen
from edgebn.errors import EdgebnError, ModelError

HELP = "say what machine this is, test every kernel on it, and time it; for bug reports"
DESCRIPTION = (
    "Say what machine this is, run every kernel on one thread and on all against recorded bytes of the specification, and time the "
    "demo networks, one beside the peers that are installed. Prints one block to paste into an issue. Exits 1 when a byte differs."
)
SHOWN_FAULTS = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--no-times", dest="times", action="store_false", help="leave the timing out")


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Look, test, time and print."""
    try:
        from edgebn.doctor import machine, speed
        from edgebn.doctor.self_test import self_test
        from edgebn.kernels.executor import NoKernelsError
    except ValueError as error:  # isa.IsaError
        raise ModelError(str(error)) from None
    started = time.perf_counter()
    report: dict[str, Any] = {"machine": machine.machine(), "versions": machine.versions(), "kernels": machine.kernels()}
    try:
        with screen.progress("testing every kernel") as progress:
            found = self_test(progress=progress)
    except NoKernelsError as error:
        raise EdgebnError(str(error)) from None
    report["self_test"] = asdict(found) | {"passed": not found.wrong, "seconds": time.perf_counter() - started}
    report["times"] = speed.times() if arguments.times and not found.wrong else {}
    screen.say(block(report))
    if found.wrong:
        raise FailedCheckError(f"{len(found.wrong)} results differ from the specification: {found.wrong[0]}", report)
    return report


def block(report: dict[str, Any]) -> str:
    """Return the report as text, every line short enough for an issue."""
    machine, kernels, test = report["machine"], report["kernels"], report["self_test"]
    memory = machine["memory_bytes"]
    lines = [
        ("board", machine["board"]),
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['machine']}"),
        ("system", ", ".join(filter(None, (machine["system"], machine["c_library"])))),
        ("memory", f"{memory / 2**20:,.0f} MiB, {(machine['memory_free_bytes'] or 0) / 2**20:,.0f} free" if memory else None),
        ("governor", _governor(machine)),
        ("temperature", ", ".join(f"{name} {value:.0f} C" for name, value in machine["celsius"].items()) or None),
        ("versions", ", ".join(f"{name} {version}" for name, version in report["versions"].items())),
        ("instruction set", f"{kernels['instruction_set']} (of {', '.join(kernels['available'])})"),
        ("features", " ".join(kernels["features"])),
        ("kernels", kernels["object"] or f"compiled here by Numba, kept in {kernels['cache'] or 'no folder: none is writable'}"),
        ("self-test", _verdict(test)),
        *(("", f"WRONG: {fault}") for fault in test["wrong"][:SHOWN_FAULTS]),
        *(line for network, engines in report["times"].items() for line in _times(network, engines)),
    ]
    shown = [(name, text) for name, text in lines if text]
    width = max(len(name) for name, _ in shown)
    return "\n".join(["edgebn doctor", *(f"  {name.ljust(width)}  {text}" for name, text in shown)])


def _times(network: str, engines: dict[str, dict[str, float]]) -> list[tuple[str, str]]:
    return [
        ("times", network),
        *((name, f"{found['median_ms']:.3f} ms (best {found['minimum_ms']:.3f})") for name, found in engines.items()),
    ]


def _governor(machine: dict[str, Any]) -> str | None:
    if not machine["governor"]:
        return None
    now, most = machine["megahertz"], machine["most_megahertz"]
    return machine["governor"] + (f", {now:.0f} of {most:.0f} MHz" if now and most else "")


def _verdict(test: dict[str, Any]) -> str:
    ran = f"{test['networks']} networks, {test['covered']} of {test['kernels']} kernels, threads {test['threads']}"
    verdict = "every byte is right" if test["passed"] else f"{len(test['wrong'])} RESULTS DIFFER"
    return f"{verdict}: {ran}, {test['values']:,} numbers, {test['seconds']:.1f} s"
