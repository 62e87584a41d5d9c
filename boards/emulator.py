"""Run a program on an emulated board: QEMU with instruction counting and the serial line on a local TCP port.

The port is opened here and handed to QEMU, so there is neither a race for a free port nor a wait for QEMU to listen: a client can
connect at once, and QEMU lets the core run when it has. The host 'board' runs as a process the same way.
Knows nothing of what is said over the line.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boards.board import Board
from boards.tidy import temporary_folder, undisturbed
from boards.toolchain import missing
from edgebn.errors import BoardError

STOP_SECONDS = 5


@dataclass(frozen=True)
class Running:
    """A program that runs.

    Attributes
    ----------
    url : str
        Its serial line, for pyserial: socket://127.0.0.1:PORT. One client, once; the core starts when it connects.
    process : subprocess.Popen
    messages : Path
        File with what the emulator wrote to standard error.
    """

    url: str
    process: subprocess.Popen[bytes]
    messages: Path

    def complaint(self) -> str:
        """Return what the emulator said and how it ended, for an error message; empty while it runs in silence."""
        said = " ".join(self.messages.read_text(encoding="utf-8", errors="replace").split())
        status = self.process.poll()
        return said if status is None else f"the emulator ended with status {status}. {said}".strip()


@dataclass(frozen=True)
class Finished:
    """A program that has ended: its exit status and what it wrote to the serial line."""

    status: int
    output: bytes


def is_available(board: Board) -> bool:
    """Whether programs for the board can be run here."""
    return board.kind == "host" or (board.emulator is not None and shutil.which(board.emulator.program) is not None)


def unavailable(board: Board) -> BoardError:
    """Return the error for a board whose programs cannot be run here."""
    if board.emulator is None:
        return BoardError(f"{board.name} is a real board without an emulator; connect it and use --port")
    return missing(board.emulator.program)


@contextmanager
def start(board: Board, program: Path, storage: Path | None = None) -> Iterator[Running]:
    """Start `program` on the board and end it when the context is left, however it is left.

    Parameters
    ----------
    board : Board
    program : Path
    storage : Path, optional
        The folder whose file `STORAGE_FILE` stands for the board's storage; left out, the program's own.

    Raises
    ------
    BoardError
        The board is not emulated, the emulator is not installed, or the system hands no open connection to another program.
    """
    if sys.platform == "win32":
        raise BoardError(f"{board.name}: Windows cannot run it with a serial line; do so on Linux or macOS, or use --port")
    process = None
    with socket.create_server(("127.0.0.1", 0)) as listening, temporary_folder("edgebn-emulator-") as folder:
        number = listening.fileno()
        command = _command(board, program.resolve(), f"socket,id=line,fd={number},server=on,wait=on,nodelay=on")
        messages = folder / "messages"
        try:
            with undisturbed(), messages.open("wb") as written:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=written,
                    pass_fds=(number,),
                    cwd=storage or program.parent,
                    env={**os.environ, "EDGEBN_LISTEN_FD": str(number)},
                )
            yield Running(f"socket://127.0.0.1:{listening.getsockname()[1]}", process, messages)
        finally:
            try:
                _stop(process)
            finally:
                _stop(process)  # again, for a signal that came on the way into the first


def run(board: Board, program: Path, *, timeout: float = 60.0) -> Finished:
    """Run `program` until it ends itself (`board_exit`) and return its status and what it wrote to the serial line.

    Raises
    ------
    BoardError
        The board is not emulated, the emulator is not installed, or the program has not ended after `timeout` seconds.
    """
    environment = {name: value for name, value in os.environ.items() if name != "EDGEBN_LISTEN_FD"}
    command = _command(board, program, "stdio,id=line,signal=off")
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise BoardError(f"{board.name}: the program has not ended after {timeout:g} seconds") from None
        finally:
            _stop(process)
    return Finished(process.returncode, output)


def _command(board: Board, program: Path, line: str) -> list[str]:
    if board.kind == "host":
        return [str(program)]
    if board.emulator is None or not is_available(board):
        raise unavailable(board)
    # Where the tool exists, the emulator dies with this process even if this process is killed.
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    return [
        *guard,
        board.emulator.program,
        *board.emulator.arguments,
        *("-display", "none", "-monitor", "none"),
        *("-semihosting-config", "enable=on,target=native"),
        *("-chardev", line, "-serial", "chardev:line"),
        *("-kernel", str(program)),
    ]


def _stop(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
