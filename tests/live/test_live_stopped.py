"""`edgebn live` is stopped at moments all over its life: while it imports, loads, serves, learns, writes. Nothing is left of it.

A moment is a number of function calls in the main thread, at which the process sends the signal to itself, whatever the machine.
"""

import json
import random
import signal
import subprocess
import sys
from importlib.util import find_spec

import pytest

import edgebn
from edgebn.preparation.data import Picture
from tests import media
from tests.conftest import TEST_ALL
from tests.demo_model import demo_images, demo_int8

pytestmark = pytest.mark.skipif(not TEST_ALL, reason="two minutes: EDGEBN_TEST_ALL=1; test_live.py stops one at its first answer")
cv2 = pytest.importorskip("cv2")
MOMENTS = 24
SECONDS = 300  # a machine that hangs
# Counts calls; at the one that argv[1] names, or with 0 never, argv[2] is sent. Prints how many there were at the first lines.
CHILD = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
moment, number, calls = int(sys.argv[1]), int(sys.argv[2]), 0
def count(frame, event, _):
    global calls
    if event == "call":
        calls += 1
        if calls == moment:
            os.kill(os.getpid(), number)
from edgebn.cli.main import main
sys.setprofile(count)
status = main(sys.argv[3:])
sys.setprofile(None)
left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
print(f"calls {calls} left {left}", flush=True)
sys.exit(status)
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """Return a function that runs it, stopped at a moment, and returns (status, lines of errors, calls, threads left)."""
    place = tmp_path_factory.mktemp("stopped")
    images, _ = demo_images()
    model = edgebn.adaptable(demo_int8(), images[:50])
    model = edgebn.prepare(model, image=Picture("grey", scale=(1 / 255,)), labels=[str(one) for one in range(10)])
    edgebn.save(model, place / "model.edgebn")
    media.write_film(place / "film.avi", 50, cv2)
    served = ["--serve", "127.0.0.1:0"] if find_spec("starlette") and find_spec("uvicorn") else []
    answers = place / "answers.jsonl"

    def run(moment, number, *options):
        answers.unlink(missing_ok=True)
        arguments = [place / "model.edgebn", "--camera", place / "film.avi", "--adapt", "--answers", answers, *served, *options]
        command = [sys.executable, "-c", CHILD, str(moment), str(int(number)), "live", *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        calls, left = ended.stdout.splitlines()[-1].removeprefix("calls ").split(" left ")
        for line in answers.read_text().splitlines(keepends=True) if answers.exists() else ():
            assert line.endswith("\n")
            json.loads(line)
        return ended.returncode, ended.stderr.splitlines(), int(calls), left

    return run


def test_nothing_is_left_at_any_moment(live):
    status, errors, calls, left = live(0, 0, "--limit", "60")
    assert (status, left) == (0, "[]"), errors
    rng = random.Random(7)
    for _ in range(MOMENTS):
        moment, number = rng.randrange(1, calls), rng.choice([signal.SIGINT, signal.SIGTERM])
        status, errors, _, left = live(moment, number)
        where = f"call {moment} of {calls}, {number.name}"
        assert (status, errors[-1:], left) == (128 + number, ["edgebn: stopped"], "[]"), (where, errors)
        assert not [line for line in errors if "Traceback" in line], where
