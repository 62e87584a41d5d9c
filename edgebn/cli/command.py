"""The whole command: its parser, one verb's run, and what becomes of an error. Signals are `main`'s."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from edgebn import __version__
from edgebn.cli import usage, wording
from edgebn.cli.failure import FailedCheckError
from edgebn.cli.main import VERBS
from edgebn.cli.screen import Screen
from edgebn.errors import EdgebnError, ModelError, UsageError

WRITTEN = frozenset({"output", "plot", "report", "save"})  # options that name a file to write
EPILOG = """\
exit codes: 0 it worked, 1 it ran and failed, 2 wrong usage.
Start with `edgebn demo`; `edgebn VERB --help` explains a verb."""


class SyntaxFaultError(Exception):
    """Arguments that the parser does not understand.

    Parameters
    ----------
    message : str
        One line.
    program, usage : str
        The verb, and how it is called.
    """

    def __init__(self, message: str, program: str, usage: str) -> None:
        super().__init__(message)
        self.program, self.usage = program, usage


class Parser(argparse.ArgumentParser):
    """A parser that leaves it to its caller what a wrong command line leads to."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        raise SyntaxFaultError(message, self.prog, self.format_usage())


def build_parser() -> Parser:
    """Return the parser of the whole command."""
    parser = Parser(
        prog="edgebn",
        description="Run convolution + batch-norm + ReLU networks in float32 and int8 on small boards.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edgebn {__version__}")
    parser.add_argument("--verbose", action="store_true", help="with --version: also the versions of packages, files and the link")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in VERBS:
        module = verb_module(name)
        verb = verbs.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.configure(verb)
        verb.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else there")
    return parser


def verb_module(name: str) -> Any:
    """Return the module of a verb: HELP, DESCRIPTION, configure and run."""
    return import_module(f"edgebn.cli.{name}")


def execute(argv: Sequence[str]) -> int:
    """Run the command and return its exit code; signals pass."""
    try:
        return _execute(argv, as_json=any(len(word) > 3 and "--json".startswith(word) for word in argv))  # as argparse takes it
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _execute(argv: Sequence[str], *, as_json: bool) -> int:
    arguments = argparse.Namespace()
    report = None
    try:
        if sorted(argv) == ["--verbose", "--version"]:
            print("\n".join(f"{name} {version}" for name, version in all_versions().items()))
            return 0
        arguments = usage.parse(build_parser, argv or ["--help"])
        if arguments.verbose:  # the rules of `usage` are those of verbs
            raise UsageError("--verbose does nothing here: it goes with --version alone; leave it out")
        usage.check(arguments)
        refuse_overwriting(arguments)
        screen = Screen(as_json=arguments.json)
        with screen.showing_warnings():
            result = verb_module(arguments.verb).run(arguments, screen)
        if screen.warnings:
            result = {**result, "warnings": screen.warnings}
        if arguments.json:
            print(json.dumps(finite(result), indent=2, allow_nan=False))
        sys.stdout.flush()
    except SystemExit as stop:  # argparse has printed its help
        return stop.code if isinstance(stop.code, int) else 2
    except BrokenPipeError:
        raise
    except SyntaxFaultError as fault:
        print(f"{fault.usage}{fault.program}: error: {fault}", file=sys.stderr)
        message, status = str(fault), 2
    except (EdgebnError, OSError) as error:
        message = wording.of(error, arguments)
        status = 2 if isinstance(error, UsageError) else 1
        report = finite(error.report) if isinstance(error, FailedCheckError) else None
        print(f"edgebn: {message}", file=sys.stderr)
    else:
        return 0
    if as_json:  # the only thing on standard output
        print(json.dumps(report or {"error": message}, indent=2))
        sys.stdout.flush()
    return status


def all_versions() -> dict[str, str]:
    """Return what is installed, then what this edgebn writes: of model files, of saved states and of the serial link."""
    from edgebn.adapt import state_file
    from edgebn.doctor import machine
    from edgebn.formats import native
    from edgebn.link import frame

    written = {".edgebn": native.FORMAT_VERSION, ".bnstate": state_file.VERSION, "link": frame.VERSION}
    return machine.versions() | {name: f"format {version}" for name, version in written.items()}


def refuse_overwriting(arguments: argparse.Namespace) -> None:
    """Refuse a file to write that is also one to read: the model or the data would be lost.

    Raises
    ------
    ModelError
        It is.
    """
    paths = {name: Path(value) for name, value in vars(arguments).items() if isinstance(value, str | Path) and value}
    for name in WRITTEN & paths.keys():
        for other in paths.keys() - WRITTEN:
            if paths[name].is_file() and paths[other].is_file() and paths[name].samefile(paths[other]):
                raise ModelError(f"{paths[name]} is read too and would be lost; write to another file")


def finite(value: Any) -> Any:
    """Return `value` with null for what JSON has no number for: infinities and NaN."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
