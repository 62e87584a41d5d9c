"""A signal that comes where Python drops what its handler raises still stops the command."""

import signal
import subprocess
import sys

import pytest

CODE = """
import os, sys, time
from edgebn.cli.stopping import StoppedError, stoppable


class Finalised:
    def __del__(self):
        os.kill(os.getpid(), {number})
        time.sleep(0.05)


def cleaned():
    end = time.monotonic() + {cleaning}
    while time.monotonic() < end:
        time.sleep(0.01)
    print("cleaned", flush=True)


try:
    with stoppable():
        try:
            Finalised()
            while True:
                time.sleep(0.01)
        finally:
            cleaned()
except StoppedError as error:
    sys.exit(error.status)
"""


@pytest.mark.parametrize("cleaning", [0.0, 1.5])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_a_finaliser(number, cleaning):
    code = CODE.format(number=int(number), cleaning=cleaning)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 128 + number
    assert done.stdout == "cleaned\n"
    assert "Exception ignored in" in done.stderr
