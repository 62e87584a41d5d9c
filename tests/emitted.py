"""Emitted projects in tests: write one, build it as its README says or with the tool chain, run its self-test on a board."""

import re
import shutil
from dataclasses import dataclass

import numpy as np
import pytest

import boards
import codegen
from boards import emulator, toolchain


@dataclass(frozen=True)
class Outcome:
    """What a self-test said."""

    status: int
    text: str
    vectors: int
    differ: int
    ticks: int


def board_or_skip(name):
    board = boards.load(name)
    if not toolchain.has_compiler(board) or not emulator.is_available(board):
        pytest.skip(f"{name}: {board.compiler} or its emulator is not installed")
    return board


def draw_codes(program, count, seed=7):
    """Return `count` random inputs of the only input of an int8 program."""
    shape = program.buffers[program.inputs[0]].shape
    return np.random.default_rng(seed).integers(-128, 128, (count, *shape)).astype(np.int8)


def network_sources(project):
    """Return the C files of a project that are not the board's."""
    return [project.folder / file for file in project.files if file.endswith(".c") and not file.startswith("board/")]


def build(project, board, *, trace, optimization="-O2", flags=()):
    """Build a project's self-test with warnings as errors and return the linked program."""
    defines = ["-DEDGEBN_TRACE"] if trace else []
    include = [project.folder, project.folder / "kernels"]
    folder = project.folder / "build"
    return toolchain.build(
        board, network_sources(project), folder, include=include, flags=[*defines, *flags], optimization=optimization
    )


def outcome(board, program, timeout=600):
    """Run a self-test and return what it said."""
    ended = emulator.run(board, program, timeout=timeout)
    text = ended.output.decode(errors="replace")
    said = re.search(r": (\d+) vectors, (\d+) differ, (\d+) ticks each", text)
    assert said, f"{board.name} ended with {ended.status} and said {text!r}"
    return Outcome(ended.status, text, *(int(number) for number in said.groups()))


def check(program, folder, board_name, samples=None, *, trace=True, flags=(), pools=()):
    """Emit, build, run; every byte of every step must be the reference's."""
    board = board_or_skip(board_name)
    shutil.rmtree(folder, ignore_errors=True)
    project = codegen.emit(program, folder, board=board_name, samples=samples, pools=pools)
    said = outcome(board, build(project, board, trace=trace, flags=flags))
    assert (said.status, said.differ) == (0, 0), said.text
    if samples is not None:
        assert said.vectors == len(samples)
    return project, said
