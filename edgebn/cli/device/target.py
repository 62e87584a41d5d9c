"""The device that an action talks to: at the end of --port, or in an emulator that is built and started for --board."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boards
import codegen
from boards import Board, emulator, toolchain
from boards.tidy import temporary_folder
from codegen.adaptation import CODES, DEFAULT_POLICY
from edgebn.cli.screen import Screen
from edgebn.cli.values import count
from edgebn.errors import LinkError, ModelError
from edgebn.formats.native import program_hash
from edgebn.link import Device, Information, Patience, connect
from edgebn.program import Program

_PORT = "serial port: /dev/ttyACM0, COM3, socket://HOST:PORT, rfc2217://HOST:PORT"
TRACE = "-DEDGEBN_TRACE"  # has the firmware report every layer

# An emulator is a program among others: on a busy machine it may stand still for longer than a board ever does.
# One that ends is seen at once, because its line closes.
EMULATED = Patience(boot=60.0, request=120.0)


@dataclass(frozen=True)
class Target:
    """A device that answers, and what is known of it.

    Attributes
    ----------
    device : Device
    information : Information
    board : Board or None
        None for a board that this edgebn has no folder for.
    size : toolchain.Size or None
        Flash and RAM of the program, where it was built here.
    """

    device: Device
    information: Information
    board: Board | None
    size: toolchain.Size | None = None

    def instructions(self, ticks: int) -> int | None:
        """Return how many instructions took `ticks`; None where nothing can tell."""
        return self.board.timer.instructions(ticks) if self.board is not None else None

    def milliseconds(self, ticks: int) -> float | None:
        """Return `ticks` as time, by the device's own clock; None in an emulator, whose clock has nothing to do with a board's."""
        if self.board is not None and self.board.kind == "emulated":
            return None
        return 1000.0 * ticks / self.information.ticks_per_second

    def cost(self, ticks: int) -> str:
        """Return in words what `ticks` are: instructions, time, or nothing but ticks."""
        counted, milliseconds = self.instructions(ticks), self.milliseconds(ticks)
        if counted is not None:
            return f"{counted:,} instructions"
        if milliseconds is not None:
            return f"{milliseconds:.3f} ms by the device's clock"
        return f"{ticks:,} ticks of the emulator, which are no measure of time,"

    def facts(self) -> dict[str, object]:
        """Return what every action reports of the device."""
        return {
            "board": self.information.board,
            "model": self.information.model,
            "model_hash": self.information.model_hash,
            "arena": self.information.arena_bytes,
            "flash": self.size.flash if self.size else None,
            "ram": self.size.ram if self.size else None,
        }


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add --port and --board, one of which must be given, --storage and --baud."""
    group = parser.add_argument_group("the device")
    one = group.add_mutually_exclusive_group(required=True)
    one.add_argument("--port", metavar="URL", help=_PORT)
    one.add_argument("--board", metavar="NAME", help="emulated board to build for and start: see `edgebn boards`")
    group.add_argument(
        "--storage",
        type=Path,
        metavar="FOLDER",
        help="where an emulated board finds what it kept; left out, it starts with nothing",
    )
    _add_baud(group)


def add_port_options(parser: argparse.ArgumentParser) -> None:
    """Add --port and --baud alone, where an emulated board that ends with the command would be of no use."""
    group = parser.add_argument_group("the device")
    group.add_argument("--port", required=True, metavar="URL", help=_PORT)
    _add_baud(group)


def _add_baud(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--baud", type=count, default=115200, metavar="N", help="speed of the port; default 115200")


def add_policy_option(parser: argparse.ArgumentParser) -> None:
    """Add --policy: the rule that the firmware adapts by."""
    parser.add_argument("--policy", choices=tuple(CODES), default=DEFAULT_POLICY, help=f"default {DEFAULT_POLICY}")


@contextmanager
def open_target(
    arguments: argparse.Namespace,
    program: Program | None,
    screen: Screen,
    policy: str | None = None,
    *,
    pipeline: bool = False,
) -> Iterator[Target]:
    """Meet the device that the command line names; an emulator ends with the context.

    Parameters
    ----------
    arguments : Namespace
        With what `add_target_options` added.
    program : Program or None
        The model that the device must run; None takes any that is there.
    screen : Screen
    policy : str or None
        That firmware which is built here adapts by; None where it does not.
    pipeline : bool
        Whether that firmware goes the whole way, from frames or samples to the answer.

    Raises
    ------
    LinkError
        The device does not answer, or runs another model.
    BoardError
        No such board, or its tools are missing, or the model does not fit it.
    """
    if arguments.board is not None:
        if program is None:
            raise ModelError("an emulated board runs nothing yet: give the model too")
        with emulated(program, arguments.board, screen, policy, arguments.storage, pipeline=pipeline) as target:
            yield target
        return
    with target_at(arguments, program) as target:
        yield target


@contextmanager
def target_at(arguments: argparse.Namespace, program: Program | None) -> Iterator[Target]:
    """Meet the device at --port.

    Raises
    ------
    LinkError
        It does not answer, or runs another model than `program`.
    """
    with connect(arguments.port, baud=arguments.baud) as device:
        information = device.info()
        if program is not None:
            check_model(information, program)
        known = information.board in boards.names()
        yield Target(device, information, boards.load(information.board) if known else None)


def check_model(information: Information, program: Program) -> None:
    """Refuse a device that runs another model.

    Raises
    ------
    LinkError
        It does.
    """
    expected = program_hash(program)
    if information.model_hash != expected:
        raise LinkError(
            f"the device runs another model ({information.model}, {information.model_hash[:12]}...) than {program.source} "
            f"({expected[:12]}...); write its firmware again with `edgebn generate --main link`, and flash it"
        )


@contextmanager
def emulated(
    program: Program,
    board_name: str,
    screen: Screen,
    policy: str | None = None,
    storage: Path | None = None,
    *,
    pipeline: bool = False,
) -> Iterator[Target]:
    """Build a program's firmware for an emulated board, start it, and meet it; `storage` is the folder with what it kept.

    Raises
    ------
    BoardError
        The board is not emulated here, or the program does not fit it.
    LinkError
        The firmware does not come up.
    """
    board = boards.load(board_name)
    if not emulator.is_available(board):
        raise emulator.unavailable(board)
    with temporary_folder("edgebn-device-") as folder:
        with screen.progress(f"building for {board.name}"):
            elf = build(program, board, folder, policy, pipeline=pipeline)
        if storage is not None:
            storage.mkdir(parents=True, exist_ok=True)
        with emulator.start(board, elf, storage) as running:
            try:
                with connect(running.url, patience=EMULATED, booting=True) as device:
                    information = device.info()
                    check_model(information, program)
                    yield Target(device, information, board, toolchain.size(board, elf))
            except LinkError as error:
                if said := running.complaint():
                    raise LinkError(f"{error}; {said}") from error
                raise


def build(program: Program, board: Board, folder: Path, policy: str | None = None, *, pipeline: bool = False) -> Path:
    """Write a program's firmware for `board` into `folder`, build it, and return what was linked; it adapts by `policy`, if any.

    With `pipeline` it goes the whole way, from frames or samples to the answer.

    Raises
    ------
    BoardError
        The compiler is missing, or the program does not fit the board.
    """
    project = codegen.emit(
        program,
        folder / "project",
        board=board.name,
        main="link",
        adapt=policy is not None,
        policy=policy or DEFAULT_POLICY,
        pipeline=pipeline,
    )
    sources = [project.folder / file for file in project.files if file.endswith(".c") and not file.startswith("board/")]
    return toolchain.build(board, sources, folder / "build", flags=[TRACE])
