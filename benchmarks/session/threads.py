"""Times one inference shared by 1, 2 and 4 threads, interleaved in one process.

    python -m benchmarks.session.threads [--rounds 5] [--json threads.json]

The MobileNet stack for images of several sizes: the smallest is below what `session/bands.py` finds worth sharing. All results are
compared with one thread's before anything is timed. Figures mean something only on a machine whose cores have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.inference import DisagreementError, Times, interleave
from benchmarks.models.networks import Case, generated
from benchmarks.peers.engines import Runner

SIZES = (96, 192, 320, 640)
THREADS = (1, 2, 4)


def open_all(case: Case) -> dict[str, Runner]:
    """Return a session for each number of threads, after comparing their bytes.

    Raises
    ------
    DisagreementError
        Results differ.
    """
    runners = {}
    expected = edgebn.Session(case.program).run(case.x).tobytes()
    for threads in THREADS:
        session = edgebn.Session(case.program, threads=threads)
        out = np.empty((1, *case.program.shapes[case.program.outputs[0]]), case.x.dtype)
        if session.run(case.x, out).tobytes() != expected:
            raise DisagreementError(f"{case.name}: {threads} threads give other bytes than one")
        runners[str(threads)] = Runner(lambda session=session, out=out: session.run(case.x, out), out.ravel)
    return runners


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, dict[str, Times]] = {}
    heads = "".join(f"{f'{threads} thread' + 's' * (threads > 1):>20}" for threads in THREADS)
    print(f"{'microseconds: median (minimum)':38}{heads}{'1 / 2 threads':>18}")
    for size in SIZES:
        for case in generated(size):
            row = results[case.name] = interleave(open_all(case), options.rounds)
            cells = "".join(f"{f'{times.median:.1f} ({times.minimum:.1f})':>20}" for times in row.values())
            print(f"{case.name:38}{cells}{row['1'].median / row['2'].median:>18.2f}", flush=True)
    if options.json:
        plain = {name: {threads: asdict(times) for threads, times in row.items()} for name, row in results.items()}
        options.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
