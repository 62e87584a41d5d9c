"""The command's front door: reads the arguments, calls one verb, turns errors into one line and an exit code.

Exit codes: 0 it worked, 1 it ran and failed, 2 the command line was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgebn import __version__
from edgebn.cli import adapt, analyze, bench, boards, convert, demo, device, evaluate, generate, quantize, run, warmup
from edgebn.cli.failure import FailedCheckError
from edgebn.cli.screen import Screen
from edgebn.errors import EdgebnError, ModelError, UsageError

WRITTEN = frozenset({"output", "plot", "save"})  # options that name a file to write
VERBS = {
    "demo": demo,
    "convert": convert,
    "quantize": quantize,
    "run": run,
    "evaluate": evaluate,
    "bench": bench,
    "analyze": analyze,
    "adapt": adapt,
    "generate": generate,
    "boards": boards,
    "device": device,
    "warmup": warmup,
}

EPILOG = """\
exit codes: 0 it worked, 1 it ran and failed, 2 wrong usage.
Start with `edgebn demo`; `edgebn VERB --help` explains a verb."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="edgebn",
        description="Run convolution + batch-norm + ReLU networks in float32 and int8 on small boards.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edgebn {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, module in VERBS.items():
        verb = verbs.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.configure(verb)
        verb.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else there")
    return parser


def one_line(error: Exception) -> str:
    """Return an error's sentence without the system's error numbers and without line breaks."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split())


def refuse_overwriting(arguments: argparse.Namespace) -> None:
    """Refuse a file to write that is also one to read: the model or the data would be lost.

    Raises
    ------
    ModelError
        It is.
    """
    given = {name: Path(value) for name, value in vars(arguments).items() if isinstance(value, str | Path) and value}
    for name in WRITTEN & given.keys():
        for other in given.keys() - WRITTEN:
            if given[name].is_file() and given[other].is_file() and given[name].samefile(given[other]):
                raise ModelError(f"{given[name]} is read too and would be lost; write to another file")


def finite(value: Any) -> Any:
    """Return `value` with null for what JSON has no number for: infinities and NaN."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process when left out.

    Returns
    -------
    int
        The exit code.
    """
    as_json = "--json" in (sys.argv[1:] if argv is None else argv)
    try:
        arguments = build_parser().parse_args(argv)
        refuse_overwriting(arguments)
        screen = Screen(as_json=arguments.json)
        with screen.showing_warnings():
            result = VERBS[arguments.verb].run(arguments, screen)
        if screen.warnings:
            result = {**result, "warnings": screen.warnings}
        if arguments.json:
            print(json.dumps(finite(result), indent=2, allow_nan=False))
        sys.stdout.flush()
    except SystemExit as stop:  # argparse has printed its help or its complaint
        return stop.code if isinstance(stop.code, int) else 2
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (EdgebnError, OSError) as error:
        message = one_line(error)
        print(f"edgebn: {message}", file=sys.stderr)
        if as_json:
            print(
                json.dumps(finite(error.report), indent=2)
                if isinstance(error, FailedCheckError)
                else json.dumps({"error": message})
            )
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("edgebn: stopped", file=sys.stderr)
        return 130
    return 0
