"""Children forked while threads of the parent use a session: they compute the same, or are told; none waits for ever."""

import ast
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import edgebn
from edgebn.errors import EdgebnError
from edgebn.passes import lower
from edgebn.session import Session
from tests.session.forking import CHILDREN, both_states, forked, network, reals, used
from tests.test_tiny import network as tiny

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("dtype", "threads"), [("float32", 1), ("int8", 2)])
@pytest.mark.parametrize("work", ["idle", "batch", "one", "observe", "refold"])
def test_children_compute_the_same_or_are_told(work, dtype, threads):
    command = [sys.executable, "-m", "tests.session.forking", work, dtype, str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    outcomes = ast.literal_eval(done.stdout)
    told = outcomes.pop("told", 0) if work == "refold" else 0
    assert outcomes == ({"right": CHILDREN - told} if told < CHILDREN else {})


@pytest.mark.parametrize(("dtype", "threads"), [("float32", 1), ("int8", 2)])
def test_calls_import_nothing(dtype, threads):
    """A child forked while another thread imports waits for ever for that module: sessions import all at the beginning."""
    command = [sys.executable, "-m", "tests.session.imported_by_calls", dtype, str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_half_written_session_is_told(monkeypatch):
    """Forked in the middle of a refold: the numbers would belong to neither state."""
    session = Session(network("float32"))
    x = reals(2)
    session.run(x[:1])
    states = both_states(session.program)
    inside, go_on = threading.Event(), threading.Event()
    fold = session._fold

    def slow(*state):
        inside.set()
        go_on.wait()
        return fold(*state)

    monkeypatch.setattr(session, "_fold", slow)
    thread = threading.Thread(target=session.refold, args=states[1])
    thread.start()
    inside.wait()
    try:
        outcome = forked(lambda: used(session, x, []))
        again = forked(lambda: "right" if edgebn.Session(session.program).run(x).shape == (2, 24, 24, 16) else "wrong")
    finally:
        go_on.set()
        thread.join()
    assert (outcome, again) == ("told", "right")
    session.run(x)  # the parent never notices


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("policy", ["compensated-tracking", "moments"])
def test_a_child_of_a_learning_adapter_is_told(policy, monkeypatch):
    """Forked while another thread learns: half of the state may be of the sample before."""
    images = np.random.default_rng(0).normal(0, 1, (60, 8, 8, 3)).astype(np.float32)
    program = edgebn.adaptable(lower(tiny()), images)
    adapter = edgebn.Adapter(edgebn.Session(program), policy)
    inside, go_on = threading.Event(), threading.Event()
    learn = adapter._learning.learn

    def slow(*sample):
        inside.set()
        go_on.wait()
        return learn(*sample)

    def tried():
        try:
            adapter.run(images[:1])
        except EdgebnError as error:
            return "told" if "forked" in str(error) else "failed"
        return "wrong"

    monkeypatch.setattr(adapter._learning, "learn", slow)
    thread = threading.Thread(target=adapter.run, args=(images[:1],))
    thread.start()
    inside.wait()
    try:
        outcome = forked(tried)
    finally:
        go_on.set()
        thread.join()
    assert outcome == "told"
    assert adapter.run(images[:1]).shape == edgebn.Session(program).run(images[:1]).shape
