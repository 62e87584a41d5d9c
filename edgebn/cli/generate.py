"""`edgebn generate`: a model to a folder of C99 that a microcontroller runs."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boards
import codegen
from boards import toolchain
from codegen.adaptation import CODES, DEFAULT_POLICY
from codegen.build_files import HOST
from codegen.footprint import Footprint, measure
from codegen.layouts import LAYOUTS, OWN_LAYOUT
from codegen.mains import KINDS
from codegen.packages import SYSTEMS
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.pools import add_pool_option, add_weights_option, said, said_of_weights, told_of_weights
from edgebn.cli.screen import Screen
from edgebn.cli.values import count

HELP = "write a model as C99 for a microcontroller"
DESCRIPTION = (
    "Write a model as C99: the network as a listing of kernel calls, its parameters, the kernels it uses, a self-test with "
    "recorded vectors, a Makefile, a CMakeLists.txt and a README. int8 models run to the same bytes as in Python."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--board", metavar="NAME", help="what the program and the build files are for; default: this computer")
    parser.add_argument(
        "--as",
        dest="system",
        choices=tuple(SYSTEMS),
        help="write a library in this build system's own layout, with examples; --board then only says what it must fit",
    )
    parser.add_argument(
        "--main",
        choices=tuple(KINDS),
        default="self-test",
        help="the program to build: compare recorded vectors, serve `edgebn device`, or answer MLPerf Tiny's runner",
    )
    parser.add_argument("--baud", type=count, metavar="N", help="of the serial line; default the board's, 9600 for mlperf-energy")
    parser.add_argument("--params-only", action="store_true", help="only <name>_params.h and .c, for kernels of your own")
    parser.add_argument(
        "--layout",
        choices=tuple(LAYOUTS),
        default=OWN_LAYOUT,
        help="of these parameters; default edgebn, whose arithmetic is exact",
    )
    parser.add_argument(
        "--adapt", action="store_true", help="adapt to what the network sees; the model is one from edgebn.adaptable"
    )
    parser.add_argument("--policy", choices=tuple(CODES), default=DEFAULT_POLICY, help=f"to adapt by; default {DEFAULT_POLICY}")
    parser.add_argument(
        "--instances",
        action="store_true",
        help="have the network run in memory of the caller's, several instances at once, besides its own",
    )
    parser.add_argument(
        "--pipeline",
        action="store_true",
        help="write <name>_answer too, from a camera's frame or samples to the answer, of a model that `edgebn prepare` made",
    )
    add_pool_option(parser)
    add_weights_option(parser)
    group = parser.add_argument_group("names in C")
    group.add_argument("--name", metavar="NAME", help="of the network: files, functions, macros; default: the model file's")
    group.add_argument("--prefix", default="edgebn", metavar="PREFIX", help="of the kernels; default edgebn")
    group.add_argument("--section", metavar="SECTION", help="linker section for constant arrays, for example .external_flash")


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Write one project."""
    program = load_model(arguments.model, arguments)
    project = codegen.emit(
        program,
        arguments.output,
        arguments.board,
        params_only=arguments.params_only,
        layout=arguments.layout,
        name=arguments.name,
        prefix=arguments.prefix,
        section=arguments.section,
        main=arguments.main,
        adapt=arguments.adapt,
        policy=arguments.policy,
        baud=arguments.baud,
        system=arguments.system,
        instances=arguments.instances,
        pipeline=arguments.pipeline,
        pools=arguments.pool,
        weights_in_ram=arguments.weights_in_ram,
    )
    screen.say(f"{project.folder}: {project.name} in C99, {program.dtype}, {len(project.files)} files; start with README.md")
    for file in project.kept:
        screen.say(f"{file}: left as you edited it")
    states = f" and {project.state_bytes:,} of states" if project.state_bytes else ""
    learning = f" and {project.adaptation_bytes:,} of adaptation" if project.adaptation_bytes else ""
    screen.say(f"flash {project.flash_bytes:,} bytes of constants, RAM {project.arena_bytes:,} bytes of arena{states}{learning}")
    copied = told_of_weights(project.weights_in_ram)
    for line in (*said(project.pools), *said_of_weights(copied)):
        screen.say(line)
    footprint = _footprint(project)
    if footprint is not None:
        stack = "unbounded" if footprint.stack is None else f"{footprint.stack:,} bytes"
        screen.say(f"code {footprint.code:,} bytes, stack {stack}, as compiled for {project.board}")
    return {
        "model": str(arguments.model),
        "output": str(project.folder),
        "name": project.name,
        "dtype": program.dtype,
        "board": project.board,
        "system": arguments.system,
        "flash_bytes": project.flash_bytes,
        "arena_bytes": project.arena_bytes,
        "adaptation_bytes": project.adaptation_bytes,
        "state_bytes": project.state_bytes,
        "ram_bytes": project.arena_bytes + project.adaptation_bytes + project.state_bytes + (copied["bytes"] if copied else 0),
        "arena_lower_bound": project.arena_lower_bound,
        "pools": [asdict(filled) for filled in project.pools],
        "weights_in_ram": copied,
        "code_bytes": None if footprint is None else footprint.code,
        "stack_bytes": None if footprint is None else footprint.stack,
        "files": list(project.files),
        "kept": list(project.kept),
    }


def _footprint(project: codegen.EmittedProject) -> Footprint | None:
    """Return what the network's code takes of the board, where its compiler is here."""
    board = boards.load(project.board) if project.board else None
    if board is None or board.kind == HOST or not toolchain.has_compiler(board):
        return None
    return measure(project, board)
