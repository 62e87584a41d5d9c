"""`edgebn demo`: the whole way on real images, from a trained Keras file to int8 and its speed, in named stages.

A later stage is one function here and one line in `STAGES`.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebn import api
from edgebn.adapt import adaptable
from edgebn.adapt.evaluate import evaluate as run_stream
from edgebn.adapt.streams import arrange
from edgebn.analysis import analyze
from edgebn.cli import demo_board, demo_board_adapt
from edgebn.cli import quantize as quantize_verb
from edgebn.cli.analyze import totals
from edgebn.cli.arrays import Archive
from edgebn.cli.bench import time_program
from edgebn.cli.evaluate import classify
from edgebn.cli.models import scores
from edgebn.cli.screen import Screen
from edgebn.program import Program

HELP = "load, quantise, evaluate and time a shipped network on real images"
DESCRIPTION = "Show the whole way on a shipped network and 1,000 images of Fashion-MNIST. Takes under a minute."

DATA = Path(__file__).resolve().parent.parent / "demo_data"
MODEL = DATA / "fashion_mnist.keras"
SLICE = DATA / "fashion_mnist_slice.npz"
PIXEL = np.float32(1 / 255)  # the network was trained on pixels in 0..1
TIMED_RUNS = 300
DIM = np.float32(0.35)
ADAPTED, ADAPTED_IMAGES = "compensated-tracking", 500
ON_BOARD = 200  # of them; the line to an emulator takes its time
ORDER_NAMES = {"iid": "in mixed order", "sorted": "one class after another"}


@dataclass
class Bench:
    """What the stages hand to each other."""

    screen: Screen
    images: np.ndarray  # (1000, 28, 28, 1) float32 in 0..1
    labels: np.ndarray  # (1000,) int64
    calibration: np.ndarray  # (300, 28, 28, 1) float32 in 0..1
    program: Program
    quantized: Program


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: it has none."""


def run(_arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Run every stage."""
    started = time.perf_counter()
    bench = open_bench(screen)
    report: dict[str, Any] = {}
    for index, (name, title, stage) in enumerate(STAGES, 1):
        screen.say(f"\n{index}. {title}\n")
        report[name] = stage(bench)
    report["seconds"] = time.perf_counter() - started
    screen.say(f"\nall of this took {report['seconds']:.0f} s")
    return report


def open_bench(screen: Screen) -> Bench:
    """Load the shipped network and images."""
    archive = Archive(SLICE)
    images, calibration = (archive.read(key).astype(np.float32) * PIXEL for key in ("images", "calibration"))
    program = api.load(MODEL)
    return Bench(screen, images, archive.read("labels").astype(np.int64), calibration, program, program)


def look(bench: Bench) -> dict[str, Any]:
    """Say what the network is and what became of its batch norms."""
    report = analyze(bench.program)
    bench.screen.say(f"{MODEL.name}: Fashion-MNIST, 10 classes of clothing, trained in Keras; batch norm after each activation")
    for name, became in report.batch_norms().items():
        bench.screen.say(f"  {name}: {became}")
    for line in totals(report):
        bench.screen.say(line)
    return {"parameters": report.parameters, "macs": report.macs, "batch_norms": report.batch_norms()}


def quantize(bench: Bench) -> dict[str, Any]:
    """Make it int8 and show what each layer lost."""
    bench.quantized, layers = quantize_verb.quantize(bench.program, bench.calibration, "mse", bench.screen)
    before, after = analyze(bench.program), analyze(bench.quantized)
    bench.screen.say(
        f"weights {before.weight_bytes:,} -> {after.weight_bytes:,} bytes, "
        f"arena {before.arena_bytes:,} -> {after.arena_bytes:,} bytes"
    )
    sizes = {"weight_bytes": [before.weight_bytes, after.weight_bytes], "arena_bytes": [before.arena_bytes, after.arena_bytes]}
    return {"calibration_samples": len(bench.calibration), "layers": layers, **sizes}


def evaluate(bench: Bench) -> dict[str, Any]:
    """Compare float32 and int8 on the same images."""
    answers = {}
    for program in (bench.program, bench.quantized):
        values = scores(program, bench.images, bench.screen, program.dtype)
        answers[program.dtype] = classify(values, bench.labels, MODEL.name)
    accuracy = {dtype: float(np.mean(answer == bench.labels)) for dtype, answer in answers.items()}
    agreement = float(np.mean(answers["float32"] == answers["int8"]))
    rows = [(dtype, int((answers[dtype] == bench.labels).sum()), 100.0 * value) for dtype, value in accuracy.items()]
    bench.screen.table(f"{len(bench.labels)} test images", ("type", "correct", "accuracy %"), rows)
    bench.screen.say(f"float32 and int8 agree on {100 * agreement:.1f} % of the images")
    return {"samples": len(bench.labels), "accuracy": accuracy, "agreement": agreement}


def speed(bench: Bench) -> dict[str, Any]:
    """Time both, one image at a time."""
    times = {program.dtype: time_program(program, TIMED_RUNS, bench.screen) for program in (bench.program, bench.quantized)}
    rows = [
        (dtype, f"{found['median_ms']:.3f}", f"{found['minimum_ms']:.3f}", round(found["inferences_per_second"]))
        for dtype, found in times.items()
    ]
    bench.screen.table("one image at a time, one thread", ("type", "median ms", "minimum ms", "a second"), rows)
    return times


def on_a_board(bench: Bench) -> dict[str, Any]:
    """Run it as firmware on an emulated microcontroller."""
    return demo_board.run(bench.quantized, bench.images, bench.screen)


def adapt(bench: Bench) -> dict[str, Any]:
    """Let the light go, and let the int8 network learn it back from what it sees."""
    program = adaptable(bench.quantized, bench.calibration)
    rows: list[tuple[str, float, float, float]] = []
    report: dict[str, Any] = {}
    for order in ("iid", "sorted"):
        at = arrange(bench.labels[:ADAPTED_IMAGES], order, 0)
        images, labels = bench.images[at] * DIM, bench.labels[at]
        bright = run_stream(program, bench.images[at], labels, ADAPTED).error
        with bench.screen.progress(f"dim, {order}") as progress:
            before, after = (run_stream(program, images, labels, policy, progress=progress).error for policy in (None, ADAPTED))
        rows.append((ORDER_NAMES[order], bright, before, after))
        report[order] = {"typical_adapting": bright, "dim": before, "dim_adapting": after}
    at = arrange(bench.labels[:ON_BOARD], "iid", 0)
    columns = (f"{ADAPTED_IMAGES} images", "typical, adapting", f"at {DIM:.0%} of the light", "the same, adapting")
    bench.screen.table("errors in %; no labels, one image at a time, weights untouched", columns, rows)
    report["board"] = demo_board_adapt.run(program, bench.images[at] * DIM, bench.labels[at], bench.screen)
    return report


def next_steps(bench: Bench) -> dict[str, Any]:
    """Say what to try next."""
    commands = next_commands()
    for command in commands:
        bench.screen.say(f"  {command}")
    bench.screen.say("\nyour own model: .h5, .keras, .onnx, .tflite and .pt2 files take the place of the .keras file above")
    return {"commands": commands}


def next_commands() -> list[str]:
    """Return commands that work as they stand, in this order, and write only fashion_*.edgebn and fashion_firmware/."""
    model, data = (shlex.quote(str(_short(path))) for path in (MODEL, SLICE))
    keys = f"--labels labels --key images --home {data} --home-key calibration"
    return [
        f"edgebn quantize {model} -o fashion_int8.edgebn --calibration {data} --key calibration --scale 1/255",
        f"edgebn evaluate fashion_int8.edgebn {data} --labels labels --key images --scale 1/255 --compare {model}",
        "edgebn analyze fashion_int8.edgebn",
        "edgebn bench fashion_int8.edgebn",
        f"edgebn adapt fashion_int8.edgebn {data} {keys} --scale 1/255 --order sorted --limit 200 -o fashion_adaptable.edgebn",
        "edgebn boards",
        "edgebn generate fashion_int8.edgebn -o fashion_firmware --board nucleo-f446re --main link",
    ]


def _short(path: Path) -> Path:
    """Return `path` as seen from the current folder where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


STAGES: tuple[tuple[str, str, Callable[[Bench], dict[str, Any]]], ...] = (
    ("network", "a trained network", look),
    ("quantization", "int8, from 300 training images", quantize),
    ("accuracy", "accuracy on images it has never seen", evaluate),
    ("speed", "speed on this machine", speed),
    ("board", "the same bytes from a microcontroller", on_a_board),
    ("adaptation", "adapting batch norm when the world changes", adapt),
    ("next", "what to try next", next_steps),
)
