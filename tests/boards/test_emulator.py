"""Emulators: several at once, each with a line of its own, and none that outlives its user, however that ends."""

import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from boards import emulator, toolchain
from edgebn.errors import BoardError
from tests import emitted

BOARDS = ["host", "mps2-an386", "microbit", "qemu-riscv32-virt"]
PATIENCE = 120.0  # seconds until a test has failed that waits for what comes at once
ECHO = """#include "board.h"
int main(void) {
    board_put('!');
    for (;;) {
        const uint8_t byte = board_get();
        if (byte == 'q') {
            return 3;
        }
        board_put((uint8_t)(byte + 1u));
    }
}
"""


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """Return a function: a board's name to the board and a linked program that answers each byte with the next one."""
    made = {}

    def link(name):
        board = emitted.board_or_skip(name)
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            (folder / "echo.c").write_text(ECHO)
            made[name] = toolchain.build(board, [folder / "echo.c"], folder / "build")
        return board, made[name]

    return link


def open_line(url):
    host, number = url.removeprefix("socket://").split(":")
    line = socket.create_connection((host, int(number)), PATIENCE)
    line.settimeout(PATIENCE)
    return line


@pytest.mark.parametrize("name", BOARDS)
def test_nothing_is_lost_that_is_said_before_anybody_listens(name, echo):
    with emulator.start(*echo(name)) as running, open_line(running.url) as line:
        assert line.recv(1) == b"!"
        line.sendall(b"a")
        assert line.recv(1) == b"b"


def test_several_run_at_once(echo):
    with ExitStack() as stack:
        lines = [stack.enter_context(open_line(stack.enter_context(emulator.start(*echo("mps2-an386"))).url)) for _ in range(4)]
        for number, line in enumerate(lines):
            assert line.recv(1) == b"!"
            line.sendall(bytes([number]))
        for number, line in enumerate(lines):
            assert line.recv(1) == bytes([number + 1])


@pytest.mark.parametrize("name", BOARDS)
def test_a_program_that_ends_says_with_what_status(name, echo):
    with emulator.start(*echo(name)) as running:
        with open_line(running.url) as line:
            assert line.recv(1) == b"!"  # what comes before the UART is ready may be lost
            line.sendall(b"q")
            running.process.wait(PATIENCE)
        assert "ended with status 3" in running.complaint()


def test_none_outlives_its_context(echo):
    with emulator.start(*echo("mps2-an386")) as running:
        assert running.process.poll() is None
    assert running.process.poll() is not None
    with pytest.raises(RuntimeError), emulator.start(*echo("mps2-an386")) as running:
        raise RuntimeError
    assert running.process.poll() is not None


def test_none_outlives_a_user_that_is_killed(echo):
    _, program = echo("mps2-an386")
    script = (
        "import sys, boards\nfrom boards import emulator\nfrom pathlib import Path\n"
        "with emulator.start(boards.load('mps2-an386'), Path(sys.argv[1])) as running:\n"
        "    print(running.process.pid, running.url, flush=True)\n    sys.stdin.read()\n"
    )
    root = Path(__file__).resolve().parents[2]
    user = subprocess.Popen(
        [sys.executable, "-c", script, str(program)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with user:
        number, url = user.stdout.readline().split()
        watched = os.pidfd_open(int(number))
        with open_line(url) as line:
            assert line.recv(1) == b"!"
            user.send_signal(signal.SIGKILL)
            user.wait(PATIENCE)
    try:
        assert select.select([watched], [], [], PATIENCE)[0], "the emulator still runs"
    finally:
        os.close(watched)


def test_a_program_that_does_not_end_is_an_error(echo):
    board, program = echo("mps2-an386")
    with pytest.raises(BoardError, match="has not ended after"):
        emulator.run(board, program, timeout=0.5)
