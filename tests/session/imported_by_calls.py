"""Prints the modules that the calls of a session import, after all that makes it; for test_fork.py.

python -m tests.session.imported_by_calls DTYPE THREADS
"""

import sys

import numpy as np

from edgebn.session import Session
from tests.session.forking import both_states, network, reals, share_all


def main(dtype, threads):
    """Make every kind of call, and print what was imported meanwhile."""
    share_all()
    session = Session(network(dtype), threads=threads)
    assert session.threads == threads
    x = reals(60)
    before = set(sys.modules)
    for one in (x[:1], x, x.astype(np.float64)):
        session.run(one)
        session.run(one, out=session.run(one))
        session.run_buffers(one)
    session.observe({"x": x[:1]})
    session.refold(*both_states(session.program)[1])
    session.run(x)
    session.reset_state()
    assert session.folded is not None
    print(sorted(set(sys.modules) - before))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
