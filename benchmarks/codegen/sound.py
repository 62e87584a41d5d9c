"""Counts the instructions that audio front ends take for each window on every emulated core, beside an inference of KWS.

    python -m benchmarks.codegen.sound [--board NAME ...] [--json FILE]

A second of noise is fed in pieces of one step, as a microphone's callback would, to `NAME_sound_feed` of an emitted network that
only copies its input. Counts are exact (benchmarks/codegen/firmware.py); those of KWS are that table's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import boards
import codegen
import edgebn
from benchmarks.codegen.firmware import CORES
from boards import emulator, toolchain
from codegen.constants import declarations, definition
from codegen.stepcode import CArray
from edgebn import program as p
from edgebn.preparation.data import MFCC_OFFSET, MFCC_SCALE, MfccFrontEnd, MicroFrontEnd, Sound

KWS = {"mps2-an385-m0": 15.3, "mps2-an385": 7.2, "mps2-an386": 3.83, "mps3-an547": 1.68, "qemu-riscv32-virt": 10.7}  # million
FRONT_ENDS = {
    "micro": (Sound(MicroFrontEnd()), 1),
    "mfcc": (Sound(MfccFrontEnd(), scale=MFCC_SCALE, offset=MFCC_OFFSET, stride=49), 49),
}
MAIN = """
#include "board/board.h"
#include "ear.h"
#include "ear_sound.h"

{arrays}
static int8_t input[{size}];

int main(void) {{
    int32_t at = 0, ready;
    uint64_t ticks;

    ear_sound_reset();
    ticks = board_ticks();
    while (at < {samples}) {{
        at += ear_sound_feed(heard + at, {samples} - at < {step} ? {samples} - at : {step}, input, &ready);
    }}
    ticks = board_ticks() - ticks;
    for (; ticks > 0; ticks /= 10) {{
        board_put((uint8_t)('0' + ticks % 10)); /* the last digit first */
    }}
    return 0;
}}
"""


def ear(sound: Sound, windows: int) -> edgebn.Program:
    """Return a network that copies what a front end hands it."""
    size = windows * sound.front_end.channels
    buffers = {name: p.Buffer(name, (1, 1, size), "int8", 0.5847029, 83) for name in ("x", "y")}
    shapes = {"x": (size,), "y": (size,)}
    step = p.Reshape("copy", ("x",), "y")
    program = p.Program("ear", "ear.tflite", "made", False, buffers, {}, (step,), ("x",), ("y",), shapes)
    return edgebn.prepare(program, sound=sound)


def count(name: str, board: boards.Board, folder: Path) -> dict[str, object]:
    """Emit, build and run one front end on one board."""
    sound, windows = FRONT_ENDS[name]
    front, program = sound.front_end, ear(sound, windows)
    project = codegen.emit(program, folder, board=board.name, name="ear")
    samples = np.random.default_rng(5).normal(0, 2000, front.sample_rate).astype(np.int16)
    arrays = [CArray("heard", "int16_t", samples, "")]
    text = declarations(arrays) + "\n".join(definition(array) for array in arrays)
    fields = {"arrays": text, "size": windows * front.channels, "samples": len(samples), "step": front.step}
    (folder / "self_test.c").write_text(MAIN.format(**fields))
    sources = [folder / file for file in project.files if file.endswith(".c") and not file.startswith("board/")]
    elf = toolchain.build(board, sources, folder / "build")
    ended = emulator.run(board, elf, timeout=600)
    instructions = board.timer.instructions(int(ended.output[::-1]))
    heard = (len(samples) - front.window) // front.step + 1
    header = (folder / "ear_sound.h").read_text()
    memory = int(header.split("_SOUND_BYTES ")[1].split()[0])
    return {
        "front_end": name,
        "board": board.name,
        "core": board.core,
        "window": instructions / heard,
        "second": instructions,
        "ram": memory,
        "share_of_kws": instructions / (KWS[board.name] * 1e6),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", nargs="+", choices=CORES, default=list(CORES))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print(f"{'front end':12}{'core':14}{'a window':>12}{'a second':>12}{'RAM':>8}{'of a KWS inference':>20}")
    with tempfile.TemporaryDirectory() as scratch:
        for name in FRONT_ENDS:
            for board_name in arguments.board:
                row = count(name, boards.load(board_name), Path(scratch) / name / board_name)
                rows.append(row)
                print(
                    f"{name:12}{row['core']:14}{row['window']:12,.0f}{row['second']:12,}{row['ram']:8,}{row['share_of_kws']:20.0%}",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
