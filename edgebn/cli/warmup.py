"""`edgebn warmup`: makes sure that compiled kernels are there, so that the first real session starts at once."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from edgebn.cli.screen import Screen
from edgebn.program import Buffer, Dequantize, Program, Reshape

HELP = "compile the kernels now where none were shipped, so that later sessions start at once"
DESCRIPTION = (
    "Say which compiled kernels this machine uses: those that came with the package, or, where none fit, those that Numba compiles "
    "now and keeps in the cache."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: it has none."""


def run(_arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Run the smallest programs of each type and of several, and say where their kernels are."""
    from edgebn.session import Session

    seconds = {}
    for dtype in ("float32", "int8", "int16", "mixed"):
        started = time.perf_counter()
        session = Session(smallest_program(dtype))
        session.run(np.zeros((1, 1), np.float32))
        seconds[dtype] = time.perf_counter() - started
        screen.say(f"{dtype} kernels ready after {seconds[dtype]:.1f} s")
    screen.say(f"instruction set {session.instruction_set}")
    return {"instruction_set": session.instruction_set, "seconds": seconds, **_places(screen)}


def _places(screen: Screen) -> dict[str, str | None]:
    """Return where kernels come from: the object that was shipped, or the cache of what was compiled here."""
    from edgebn.kernels import native

    shipped = native.load()
    if shipped is not None:
        screen.say(f"compiled ahead of time: {shipped.path}")
        return {"object": str(shipped.path), "cache": None}
    from edgebn.kernels import cache

    folder = cache.folder()
    screen.say(
        f"kept in {folder}" if folder else "no folder is writable, so every process compiles them again; set NUMBA_CACHE_DIR to one"
    )
    return {"object": None, "cache": str(folder) if folder else None}


def smallest_program(dtype: str) -> Program:
    """Return a program that does nothing; its session compiles every kernel of `dtype`, since one executor holds them all."""
    types = ("int8", "float32") if dtype == "mixed" else (dtype, dtype)
    buffers = {name: Buffer(name, (1, 1, 1), kind) for name, kind in zip(("x", "y"), types, strict=True)}
    step = Dequantize("nothing", ("x",), "y") if dtype == "mixed" else Reshape("nothing", ("x",), "y")
    return Program(
        "warmup",
        "warmup",
        "edgebn",
        False,
        buffers,
        {},
        (step,),
        ("x",),
        ("y",),
        {"x": (1,), "y": (1,)},
    )
