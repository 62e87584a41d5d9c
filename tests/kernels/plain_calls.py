"""Runs the file of a released format in this Python, whichever it is, and prints how calls went: `python plain_calls.py FOLDER`."""

import json
import sys
from pathlib import Path

import numpy as np

import edgebn
from edgebn.kernels import native
from edgebn.session import ndarray_struct


def main(folder):
    answers = np.load(folder / "answers.npz")
    x = answers["x"]
    session = edgebn.Session(edgebn.load(folder / "int8.edgebn"))
    one = [session.run(x[i : i + 1]) for i in range(len(x))]  # the fast call
    is_same = np.array_equal(np.concatenate(one), answers["int8"])
    out = np.empty_like(one[0])
    for i in range(len(x)):
        is_same &= np.array_equal(session.run(x[i : i + 1], out=out)[0], answers["int8"][i])
    is_same &= np.array_equal(session.run(x[::-1])[::-1], answers["int8"])  # strides of no contiguous array
    print(
        json.dumps(
            {
                "python": sys.version_info[:2],
                "same": bool(is_same),
                "after_head": ndarray_struct.IS_AFTER_HEAD,
                "known": ndarray_struct.ARE_KNOWN,
                "fast_call": session._on_reals is not None,
                "object": native.load() is not None,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
