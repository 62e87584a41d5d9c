"""Counts the instructions of one inference on every emulated core, and what the code takes, beside recorded peers.

    python -m benchmarks.codegen.firmware [--board NAME ...] [--json results.json] [models...]

Without models: KWS, ResNet-8 and AD of the folder of models (`places.py`), as TensorFlow Lite quantised them (kws_int8, ...) and as
`edgebn.quantize` does (kws, ...), and a network of the shape of visual wake words with random weights (vww), which needs no file.
The emulator counts exactly, so a figure is the same on every machine and under any load. Every run compares its outputs with the
reference's bytes. Peers were counted once with the same emulator and compilers (-O3 for CMSIS-NN, -O2 for TFLM-style C and bakenn).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

import boards
import codegen
import edgebn
from benchmarks.models.mobilenet import mobilenet
from benchmarks.places import models_folder
from boards import emulator, toolchain
from codegen.footprint import measure

MODELS_AT = models_folder()
CORES = ("mps2-an385-m0", "mps2-an385", "mps2-an386", "mps3-an547", "qemu-riscv32-virt")
MODELS = ("kws_int8.tflite", "resnet8_int8.tflite", "ad01_int8.tflite", "kws.keras", "resnet8.h5", "ad01.h5", "vww")
# Million instructions of one inference, in the order of CORES.
PEERS = {
    "CMSIS-NN": {
        "kws": (29.0, 10.54, 7.84, 1.78, None),
        "resnet8": (97.6, 41.76, 29.87, 4.81, None),
        "ad01": (1.76, 0.953, 0.580, 0.147, None),
        "vww": (None, None, 24.2, None, None),  # its convolutions; docs/boards.md
    },
    "TFLM-style C": {"kws": (None, 34.6, 34.6, None, 36.4), "resnet8": (None, 95.8, 95.8, None, 117.1)},
    "bakenn 1.0": {
        "kws": (None, None, 22.1, None, None),
        "resnet8": (None, None, 79.6, None, None),
        "ad01": (None, None, 0.58, None, None),
    },
}


def network(model: str) -> str:
    """Return which network a file holds."""
    return Path(model).stem.removesuffix("_int8")


def load(model: str) -> edgebn.Program:
    """Return an int8 program: the file's own, or one quantised here."""
    program = mobilenet() if model == "vww" else edgebn.load(model if Path(model).exists() else MODELS_AT / "models" / model)
    return program if program.dtype == "int8" else edgebn.quantize(program, calibration(program))


def calibration(program: edgebn.Program) -> np.ndarray:
    """Return inputs for calibration: the recorded ones where they fit, else drawn ones."""
    shape = program.shapes[program.inputs[0]]
    if shape == (49, 10, 1):
        return (np.load(MODELS_AT / "data" / "kws_dev.npz")["x"][:100].astype(np.float32) - 83) * np.float32(0.5847029)
    if shape == (32, 32, 3):
        return np.load(MODELS_AT / "data" / "cifar10_dev.npz")["x_train"][:100].astype(np.float32)
    return (np.random.default_rng(3).standard_normal((100, *shape)) * 10).astype(np.float32)


def count(program: edgebn.Program, board: boards.Board, folder: Path) -> dict[str, object]:
    """Emit, build, run and measure one network on one board."""
    project = codegen.emit(program, folder / board.name, board=board.name)
    sources = [project.folder / file for file in project.files if file.endswith(".c") and not file.startswith("board/")]
    elf = toolchain.build(board, sources, folder / f"{board.name}-build")
    ended = emulator.run(board, elf, timeout=600)
    words = ended.output.decode().split()  # NAME: N vectors, D differ, T ticks each
    footprint = measure(project, board)
    return {
        "board": board.name,
        "core": board.core,
        "instructions": board.timer.instructions(int(words[-3])),
        "same_bytes": ended.status == 0,
        "code": footprint.code,
        "constants": footprint.constants,
        "arena": project.arena_bytes,
        "stack": footprint.stack,
        "calls": footprint.calls,
    }


def table(rows: list[dict[str, object]]) -> str:
    """Return the rows as text, a model and a core a line, peers beside."""
    lines = [
        f"{'model':20} {'core':11} {'edgebn M':>9} " + " ".join(f"{peer:>12}" for peer in PEERS) + "   code  arena stack bytes"
    ]
    for row in rows:
        core = CORES.index(row["board"]) if row["board"] in CORES else None
        recorded = [PEERS[peer].get(network(row["model"]), (None,) * len(CORES)) for peer in PEERS]
        peers = [f"{values[core]:12.2f}" if core is not None and values[core] is not None else f"{'-':>12}" for values in recorded]
        lines.append(
            f"{row['model']:20} {row['core']:11} {row['instructions'] / 1e6:9.3f} {' '.join(peers)} "
            f"{row['code']:6,} {row['arena']:6,} {row['stack']:5} {'equal' if row['same_bytes'] else 'DIFFERENT'}"
        )
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--board", action="append", choices=boards.names(), help="can be repeated; default: five cores")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="edgebn-firmware-") as folder:
        for model in arguments.models:
            program = load(model)
            for name in arguments.board or CORES:
                rows.append({"model": model, **count(program, boards.load(name), Path(folder) / Path(model).stem)})
                print(rows[-1]["model"], rows[-1]["core"], file=sys.stderr, flush=True)
    print("million instructions of one inference; bytes compared with the reference")
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "peers": PEERS, "cores": CORES}, indent=2))
    return 0 if all(row["same_bytes"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
