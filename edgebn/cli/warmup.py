"""`edgebn warmup`: compiles the kernels now and keeps them, so that the first real session starts at once."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from edgebn.cli.screen import Screen
from edgebn.program import Buffer, Program, Reshape

HELP = "compile the kernels now, so that later sessions start at once"
DESCRIPTION = "Compile the kernels for this machine's instruction set and keep them in the cache; says where."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: it has none."""


def run(_arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Compile the kernels of both data types."""
    from edgebn.session import Session

    seconds = {}
    for dtype in ("float32", "int8"):
        started = time.perf_counter()
        session = Session(smallest_program(dtype))
        session.run(np.zeros((1, 1), dtype))
        seconds[dtype] = time.perf_counter() - started
        screen.say(f"{dtype} kernels ready after {seconds[dtype]:.1f} s")
    from edgebn.kernels import cache

    folder = cache.folder()
    screen.say(f"instruction set {session.instruction_set}")
    screen.say(
        f"kept in {folder}" if folder else "no folder is writable, so every process compiles them again; set NUMBA_CACHE_DIR to one"
    )
    return {"instruction_set": session.instruction_set, "cache": str(folder) if folder else None, "seconds": seconds}


def smallest_program(dtype: str) -> Program:
    """Return a program that does nothing; its session compiles every kernel of `dtype`, since one executor holds them all."""
    buffers = {name: Buffer(name, (1, 1, 1), dtype) for name in ("x", "y")}
    step = Reshape("nothing", ("x",), "y")
    return Program(
        "warmup",
        "warmup",
        "edgebn",
        False,
        dtype,
        buffers,
        {},
        (step,),
        ("x",),
        ("y",),
        {"x": (1,), "y": (1,)},
    )
