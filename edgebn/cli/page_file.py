"""The HTML page that `edgebn report` writes, and other verbs with --report: what is the same whoever gathered the numbers."""

from __future__ import annotations

import argparse
import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file
from edgebn.errors import ModelError
from edgebn.formats.whole_file import write_whole
from edgebn.program import Program

READ = ("model", "compare", "calibration", "data", "stream", "home", "labels")  # arguments that may name files to read
BLOCK = 1 << 20


def add_report_option(parser: argparse.ArgumentParser) -> None:
    """Add --report."""
    parser.add_argument(
        "--report", type=new_file, metavar="OUT.html", help="also write what this finds out as a page: see `edgebn report`"
    )


def write(
    path: Path,
    program: Program,
    arguments: argparse.Namespace,
    screen: Screen,
    parts: Mapping[str, Any],
    pictures: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Write the page about a program and return its numbers.

    Parameters
    ----------
    path : Path
    program : Program
    arguments : Namespace
        Of the command that runs.
    screen : Screen
    parts : mapping
        What the command found out, by the names that `edgebn.report.sections` knows.
    pictures : mapping of int to str, optional
        Samples as data URIs.
    """
    from edgebn.cli.command import finite
    from edgebn.doctor import machine
    from edgebn.report.gather import add_costs, gathered
    from edgebn.report.page import page
    from edgebn.report.plots import Plots

    try:
        plots = Plots()
    except ModelError as error:  # without matplotlib the tables are all there is
        screen.warn(str(error))
        plots = None
    report = gathered(program) | dict(parts)
    add_costs(report, program)
    known = machine.machine()
    report["made"] = {
        "command": shlex.join(("edgebn", *arguments.argv)),
        **{f"version of {name}": version for name, version in machine.versions().items()},
        "processor": f"{known['processor']}, {known['cores']} cores, {known['machine']}",
        "files": [_told(name, Path(value)) for name in READ if (value := getattr(arguments, name, None)) and Path(value).is_file()],
    }
    report = finite(report)
    content = page(report, plots, pictures).encode("utf-8")
    write_whole(path, content)
    screen.say(f"wrote {path}, {len(content):,} bytes")
    return report


def _told(role: str, path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return {"role": role, "file": str(path), "bytes": path.stat().st_size, "sha256": digest.hexdigest()}
