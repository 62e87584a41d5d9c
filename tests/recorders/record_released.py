"""Writes what the present version of edgebn saves, and answers, into tests/recorded/released: once for every released format.

    python -m tests.recorders.record_released

What stands there is never written again: files of a released version load for ever, with the same answers (docs/promises.md).
"""

import sys
from pathlib import Path

import numpy as np

import edgebn
from edgebn import passes
from edgebn.adapt import state_file
from edgebn.formats import native
from tests.test_tiny import network

FOLDER = Path(__file__).resolve().parents[1] / "recorded" / "released"


def main():
    folder = FOLDER / f"edgebn{native.FORMAT_VERSION}-state{state_file.VERSION}"
    if folder.exists():
        sys.exit(f"{folder} is there, and what was released stays as it is")
    folder.mkdir(parents=True)
    x = np.random.default_rng(19).normal(size=(16, 8, 8, 3)).astype(np.float32)
    float32 = passes.lower(network())
    int8 = edgebn.adaptable(edgebn.quantize(float32, x), x, edgebn.Session(float32).run(x).argmax(axis=1))
    edgebn.save(float32, folder / "float32.edgebn")
    edgebn.save(int8, folder / "int8.edgebn")
    answers = {"x": x, "float32": edgebn.Session(float32).run(x), "int8": edgebn.Session(int8).run(x)}
    adapter = edgebn.Adapter(edgebn.Session(int8))
    for _ in range(20):
        adapter.run(x * np.float32(0.8) + np.float32(0.1))
    adapter.save(folder / "int8.bnstate")
    session = edgebn.Session(int8)
    edgebn.Adapter(session).load(folder / "int8.bnstate")
    answers["adapted"] = session.run(x)
    np.savez_compressed(folder / "answers.npz", **answers)


if __name__ == "__main__":
    main()
