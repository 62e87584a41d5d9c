"""Emitted networks that adapt, in tests: build one around tests/c/adapting.c, run it on a board, and ask Python."""

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import codegen
import edgebn
from boards import emulator, toolchain
from codegen.constants import definition
from codegen.stepcode import CArray
from edgebn.adapt import Adapter
from tests.emitted import board_or_skip

OWN = Path(__file__).parents[1] / "c"


@dataclass(frozen=True)
class Learned:
    """State and outputs after a stream, and on boards the ticks of all inferences, of one that is not observed, and of learning."""

    state: bytes
    outputs: int
    factory: bytes = b""
    running: int = 0
    plain: int = 0
    learning: int = 0


def in_python(program, stream, policy, engine=None):
    """Return what the adapter learns from int8 codes (N, ...)."""
    adapter = Adapter(engine or edgebn.Session(program), policy)
    outputs = adapter.run(stream)
    return adapter, Learned(adapter.to_bytes(), zlib.crc32(np.ascontiguousarray(outputs).tobytes()))


def emit(program, folder, board_name, policy):
    """Emit an adapting network named `net`; return the project."""
    return codegen.emit(program, folder, board=board_name, name="net", adapt=True, policy=policy)


def on_board(program, stream, folder, board_name, policy, *, compiler=None, flags=()):
    """Build, run; return what the board learns."""
    board = board_or_skip(board_name)
    board = replace(board, compiler=compiler) if compiler else board
    project = emit(program, folder, board_name, policy)
    header = (
        f"#include <stdint.h>\n#define STREAM_COUNT {len(stream)}\n#define EDGEBN_CONST\n"
        "#define EDGEBN_ALIGN __attribute__((aligned(8)))\n"
    )
    array = CArray("stream", "int8_t", stream, "inputs")
    (folder / "stream.h").write_text(header + "static " + definition(array).split("*/\n", 1)[1].replace("EDGEBN_CONST ", ""))
    sources = [project.folder / file for file in ("net.c", "net_params.c", "kernels/edgebn_adapt.c")]
    include = [project.folder, project.folder / "kernels"]
    elf = toolchain.build(board, [*sources, OWN / "adapting.c"], folder / "build", include=include, flags=flags)
    ended = emulator.run(board, elf, timeout=1200)
    said = dict(line.split(" ", 1) for line in ended.output.decode(errors="replace").splitlines() if " " in line)
    assert ended.status == 0, ended.output[:500]
    ticks = {name: int(said[name], 16) for name in ("running", "plain", "learning")}
    return Learned(bytes.fromhex(said["state"]), int(said["outputs"], 16), bytes.fromhex(said["factory"]), **ticks)


def shifted(codes, seed=0):
    """Return codes of another world, int8: less contrast, a brighter ground and noise."""
    noise = np.random.default_rng(seed).normal(0, 6, codes.shape)
    return np.clip(np.rint(codes * 0.5 + 30 + noise), -128, 127).astype(np.int8)


def same(board, python):
    """Assert equality to the bit of what a board and Python learned."""
    assert board.outputs == python.outputs
    assert board.state == python.state
