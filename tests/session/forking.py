"""Forks children in the middle of what other threads do with a session, and prints what became of them; for test_fork.py.

python -m tests.session.forking WORK DTYPE THREADS
"""

import os
import sys
import threading
import time
import warnings
from collections import Counter

import numpy as np

import edgebn
from edgebn.errors import EdgebnError
from edgebn.session import Session, bands
from tests.adaptations import with_adaptation
from tests.passes.test_quantize import Maker

CHILDREN = 10
PATIENCE = 120  # seconds: children end in a fraction of one, or never
OUTCOMES = ("right", "wrong", "told", "failed")


def share_all():
    """Let threads share steps and networks of any size."""
    bands.MIN_MACS, bands.MIN_PROGRAM_MACS = (dict.fromkeys(("float32", "int8"), least) for least in (1, 0))


def network(dtype):
    """Return an adaptable network of two convolutions, (24, 24, 3) to (24, 24, 16)."""
    make = Maker((24, 24, 3))
    program = make.finish(make.convolution(make.convolution("x", 16), 16))
    return with_adaptation(program if dtype == "float32" else edgebn.quantize(program), seed=3)


def reals(samples):
    """Return inputs for it."""
    return np.random.default_rng(1).standard_normal((samples, 24, 24, 3)).astype(np.float32)


def both_states(program):
    """Return two (drift, ratio) to fold: the factory's and another."""
    channels = sum(layer.channels for layer in program.adaptation.layers)
    return [[np.full(channels, value, np.float32) for value in state] for state in ((0, 1), (0.5, 2))]


def used(session, x, answers):
    """Return what a child meets: everything is tried twice, as the first call must leave the session fit for another."""
    try:
        found = [session.run(x), session.run(x), *(np.concatenate([session.run(one[None]) for one in x]) for _ in range(2))]
        session.observe({"x": x[:1]})
    except EdgebnError as error:
        return "told" if "forked" in str(error) else "failed"
    return "right" if any(all(np.array_equal(one, answer) for one in found) for answer in answers) else "wrong"


def forked(use):
    """Return what `use` returns in a child, or 'hung'."""
    child = os.fork()
    if child == 0:
        code = OUTCOMES.index("failed")
        try:
            code = OUTCOMES.index(use())
        finally:
            os._exit(code)
    end = time.monotonic() + PATIENCE
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return OUTCOMES[os.waitstatus_to_exitcode(status)]
        if time.monotonic() > end:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return "hung"
        time.sleep(0.001)


def main(work, dtype, threads):
    """Fork while two threads work; print the outcomes."""
    warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
    share_all()
    program = network(dtype)
    session = Session(program, threads=threads)
    assert (session._packed.real.tasks is not None) == (threads > 1)
    x, many, states, answers = reals(5), reals(60), both_states(program), []
    for state in states:
        session.refold(*state)
        answers.append(session.run(x))
    session.refold(*states[0])
    does = {
        "idle": lambda: time.sleep(0.001),
        "batch": lambda: session.run(many),
        "one": lambda: session.run(many[:1]),
        "observe": lambda: session.observe({"x": many[:1]}),
        "refold": lambda: [session.refold(*state) for state in states],
    }[work]
    stop = threading.Event()

    def go_on():
        while not stop.is_set():
            does()

    workers = [threading.Thread(target=go_on) for _ in range(2)]
    for worker in workers:
        worker.start()
    outcomes = []
    for _ in range(CHILDREN):
        time.sleep(0.002)
        outcomes.append(forked(lambda: used(session, x, answers)))
        if outcomes[-1] == "hung":
            break
    stop.set()
    for worker in workers:
        worker.join()
    print(dict(Counter(outcomes)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
