"""Times pictures of 640 x 480 becoming the input of a 224 x 224 network, beside OpenCV's resize and cast, on one thread.

    python -m benchmarks.preparation.pictures [--rounds 500] [--json FILE]

Both do a few pictures in turn, so that whatever else the machine does hits them alike; the ratio is that of the best rounds. The
bytes of both are compared first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.preparation.data import Picture
from edgebn.preparation.pictures import pictured
from edgebn.program import Buffer

SIZE, WANTED = (480, 640, 3), (224, 224, 3)
EACH = 2  # pictures in a turn


def cases() -> dict[str, tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]]:
    """Return by type what edgebn and OpenCV do."""
    import cv2

    cv2.setNumThreads(1)
    pixels = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.uint8)
    codes, real = Buffer("x", WANTED, "int8", scale=1.0, zero_point=-128), Buffer("x", WANTED, "float32")

    def small() -> np.ndarray:
        resized: np.ndarray = cv2.resize(pixels, WANTED[1::-1], interpolation=cv2.INTER_LINEAR)
        return resized

    return {
        "int8": (lambda: pictured(pixels, Picture(), codes), lambda: (small() ^ 128).view(np.int8)),
        "float32": (lambda: pictured(pixels, Picture(), real), lambda: small().astype(np.float32)),
    }


def seconds(make: Callable[[], np.ndarray]) -> float:
    """Return the time of one picture."""
    start = time.perf_counter()
    for _ in range(EACH):
        make()
    return (time.perf_counter() - start) / EACH


def measured(rounds: int) -> list[dict[str, Any]]:
    """Return a row a type: best times in microseconds, and their ratio."""
    rows = []
    for dtype, (ours, theirs) in cases().items():
        if not np.array_equal(ours(), theirs()):
            message = f"{dtype}: not OpenCV's bytes"
            raise RuntimeError(message)
        times = np.array([(seconds(ours), seconds(theirs)) for _ in range(rounds)])
        best = times.min(axis=0) * 1e6
        rows.append({"type": dtype, "edgebn_us": float(best[0]), "opencv_us": float(best[1]), "ratio": float(best[0] / best[1])})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = measured(given.rounds)
    for row in rows:
        print(f"{row['type']:8} edgebn {row['edgebn_us']:.0f} us, OpenCV {row['opencv_us']:.0f} us, ratio {row['ratio']:.2f}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
