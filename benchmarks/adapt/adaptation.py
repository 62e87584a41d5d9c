"""How much adaptation helps when the world shifts and harms when it does not: every policy and two comparators, int8, one command.

    python -m benchmarks.adapt.adaptation --seeds 5 --json adaptation.json

Errors in %, mean and half of the 95 % confidence interval over orders (seeds), each sample predicted with what was learned before
it. Sections: images (clean and the six shifts of the rule's making), untuned (shifts it never saw), speech (kws.keras and the
folded kws_int8.tflite), continual (six shifts one after another, then clean), long (20,000 class-sorted samples of one shift).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.adapt.balanced_bn import BalancedBn, PlainMoments
from benchmarks.adapt.shifts import SPEECH_SHIFTS, UNTUNED_IMAGE_SHIFTS
from benchmarks.places import VARIABLE, models_folder
from edgebn.adapt.evaluate import evaluate
from edgebn.adapt.policies import POLICIES
from edgebn.adapt.streams import ORDERS, arrange

COMPARATORS = (PlainMoments, BalancedBn)
SHIFTS = ("gaussian_noise", "defocus_blur", "contrast", "brightness", "fog", "pixelate")
MFCC_SCALE, MFCC_ZERO = 0.5847029, 83
LONG_ROUNDS = 20
# Student's t for a two-sided 95 % interval, by number of orders.
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
NORMAL = 1.96
LABELLED, PASSES = 100, 10  # samples that `supervised` is taught with, and how often; errors are counted on the others


@dataclass(frozen=True)
class Task:
    """A network with its tables, and domains of the same labels; the first domain is clean."""

    name: str
    model: edgebn.Program
    domains: dict[str, np.ndarray]
    labels: np.ndarray


def image_tasks(folder: Path) -> tuple[Task, Task]:
    with np.load(folder / "data" / "cifar10_dev.npz") as data:
        source, clean, labels = data["x_train"], data["x_test"], data["y_test"].reshape(-1).astype(np.int64)
        tuned = {"clean": clean} | {name: data[f"x_test_{name}"] for name in SHIFTS}
    untuned = {"clean": clean} | {name: shift(clean) for name, shift in UNTUNED_IMAGE_SHIFTS.items()}
    typical = source.astype(np.float32)
    model = edgebn.adaptable(edgebn.quantize(edgebn.load(folder / "models" / "resnet8_jpeg.h5"), typical[:1000]), typical)
    real = ({name: images.astype(np.float32) for name, images in domains.items()} for domains in (tuned, untuned))
    first, second = (Task("ResNet-8", model, domains, labels) for domains in real)
    return first, second


def speech_tasks(folder: Path) -> Iterator[Task]:
    with np.load(folder / "data" / "kws_dev.npz") as data:
        codes, labels = data["x"], data["y"].astype(np.int64)
    mfcc = np.float32(MFCC_SCALE) * (codes.astype(np.float32) - MFCC_ZERO)
    source, rest = mfcc[:250], mfcc[250:]

    def quantised(values: np.ndarray) -> np.ndarray:
        held = np.clip(np.rint(values / MFCC_SCALE + MFCC_ZERO), -128, 127)
        return (np.float32(MFCC_SCALE) * (held.astype(np.float32) - MFCC_ZERO))[..., None]

    domains = {"clean": rest} | {name: quantised(shift(rest[..., 0].astype(float))) for name, shift in SPEECH_SHIFTS.items()}
    for name in ("kws.keras", "kws_int8.tflite"):
        model = edgebn.load(folder / "models" / name)
        int8 = model if model.dtype == "int8" else edgebn.quantize(model, source)
        yield Task(name, edgebn.adaptable(int8, source), domains, labels[250:])


def errors(task: Task, policy: str | None, order: str, seeds: range) -> dict[str, list[float]]:
    """Return each domain's errors by seed."""
    found: dict[str, list[float]] = {}
    for name, images in task.domains.items():
        for seed in seeds if policy else seeds[:1]:  # without adaptation the order changes nothing
            at = arrange(task.labels, order, seed)
            found.setdefault(name, []).append(evaluate(task.model, images[at], task.labels[at], policy).error)
    return found


def summary(by_domain: dict[str, list[float]]) -> dict[str, float]:
    clean = np.array(by_domain["clean"])
    shifted = np.array([values for name, values in by_domain.items() if name != "clean"]).mean(axis=0)

    def standard_error(values: np.ndarray) -> float:
        return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0

    factor = STUDENT.get(len(shifted), NORMAL)
    return {"clean": float(clean.mean()), "clean_se": standard_error(clean), "clean_worst": float(clean.max()),
            "shifted": float(shifted.mean()), "shifted_se": standard_error(shifted),
            "shifted_interval": factor * standard_error(shifted)}  # fmt: skip


def table(title: str, task: Task, policies: list[str | None], seeds: range) -> list[dict]:
    print(f"\n{title}: {task.name}, {len(task.labels)} samples, clean / mean of {', '.join(list(task.domains)[1:])}")
    print(f"{'':28}" + "".join(f"{order:>28}" for order in ORDERS), flush=True)
    rows = []
    for policy in policies:
        cells = []
        for order in ORDERS:
            found = errors(task, policy, order, seeds)
            one = summary(found)
            rows.append({"task": task.name, "policy": policy or "none", "order": order, **one, "errors": found})
            cells.append(f"{one['clean']:.2f} / {one['shifted']:.2f} +- {one['shifted_interval']:.2f}")
        print(f"{policy or 'none':28}" + "".join(f"{cell:>28}" for cell in cells), flush=True)
    for policy in policies[:2]:
        for order in ORDERS:
            row = next(row for row in rows if (row["policy"], row["order"]) == (policy or "none", order))
            detail = ", ".join(f"{name} {np.mean(values):.1f}" for name, values in row["errors"].items())
            print(f"  {policy or 'none'}, {order}: {detail}")
    return rows


def continual_table(task: Task, policies: list[str | None], seeds: range) -> list[dict]:
    print("\nsix shifts one after another without reset, then clean: mean of the six / clean after them (worst stream)")
    rows = []
    for policy in policies:
        for order in ORDERS:
            runs = []
            for seed in seeds:
                names = [*np.random.default_rng(seed).permutation(list(task.domains)[1:]), "clean"]
                at = [arrange(task.labels, order, 100 * seed + i) for i in range(len(names))]
                images = np.concatenate([task.domains[name][index] for name, index in zip(names, at, strict=True)])
                trace = evaluate(task.model, images, task.labels[np.concatenate(at)], policy)
                runs.append(100 * (1 - trace.correct.reshape(len(names), -1).mean(axis=1)))
            means = np.array(runs)
            six, last = means[:, :-1].mean(axis=1), means[:, -1]
            row = {"policy": policy or "none", "order": order, "shifted": six.mean(), "shifted_worst": six.max()}
            row |= {"clean": last.mean(), "clean_worst": last.max()}
            rows.append({key: value if isinstance(value, str) else float(value) for key, value in row.items()})
            print(
                f"{row['policy']:28}{order:>12}  {row['shifted']:.2f} ({row['shifted_worst']:.2f}) / "
                f"{row['clean']:.2f} ({row['clean_worst']:.2f})",
                flush=True,
            )
    return rows


def long_table(task: Task, policies: list[str | None]) -> list[dict]:
    print(f"\n{LONG_ROUNDS},000 class-sorted samples of contrast: errors of each thousand")
    at = np.concatenate([arrange(task.labels, "sorted", seed) for seed in range(LONG_ROUNDS)])
    rows = []
    for policy in policies:
        trace = evaluate(task.model, task.domains["contrast"][at], task.labels[at], policy)
        by_thousand = 100 * (1 - trace.correct.reshape(LONG_ROUNDS, -1).mean(axis=1))
        rows.append({"policy": policy or "none", "errors": by_thousand.tolist(), "trips": trace.trips})
        print(f"{policy or 'none':28}" + " ".join(f"{value:.1f}" for value in by_thousand), f"(trips: {trace.trips})", flush=True)
    return rows


def gradient_table(folder: Path, task: Task) -> list[dict]:
    """Compare what gradients reach on the float32 network, in mixed order."""
    with np.load(folder / "data" / "cifar10_dev.npz") as data:
        model = edgebn.adaptable(edgebn.load(folder / "models" / "resnet8_jpeg.h5"), data["x_train"].astype(np.float32))
    at = arrange(task.labels, "iid", 0)
    known, rest = at[:LABELLED], at[LABELLED:]
    print(f"\nfloat32, mixed order, {len(rest)} samples; supervised: {LABELLED} others with labels, {PASSES} times")
    rows = []
    for name, images in task.domains.items():
        found = {
            policy or "none": evaluate(model, images[rest], task.labels[rest], policy).error for policy in (None, "moments", "tent")
        }
        session = edgebn.Session(model)
        edgebn.Adapter(session, "supervised").teach(images[known], task.labels[known], passes=PASSES)
        found["supervised"] = evaluate_plain(session, images[rest], task.labels[rest])
        rows.append({"domain": name, **found})
        print(f"{name:28}" + ", ".join(f"{policy} {error:.1f}" for policy, error in found.items()), flush=True)
    return rows


def evaluate_plain(session: edgebn.Session, images: np.ndarray, labels: np.ndarray) -> float:
    return 100 * float(np.mean(np.argmax(session.run(images), axis=1) != labels))


def main() -> None:
    sections = ("images", "untuned", "speech", "continual", "long", "gradients")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="the folder with data/ and models/; default $EDGEBN_MODELS")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--section", action="append", choices=sections, help="again for several; default all")
    parser.add_argument("--policy", action="append", help="again for several; default all")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    arguments = parser.parse_args()
    folder = models_folder(arguments.models)
    if not (folder / "data").is_dir():
        sys.exit(f"{folder} has no data/; give the folder with --models or {VARIABLE}")
    for comparator in COMPARATORS:
        POLICIES[comparator.name] = comparator
    for_int8 = [name for name, policy in POLICIES.items() if not policy.needs_gradients]
    policies: list[str | None] = [None, *(arguments.policy or for_int8)]
    wanted, seeds = arguments.section or sections, range(arguments.seeds)
    own = [policy for policy in policies if policy in {None, "compensated-tracking", "compensated"}]
    started = time.time()
    tuned, untuned = image_tasks(folder)
    report: dict[str, list[dict]] = {}
    if "images" in wanted:
        report["images"] = table("images", tuned, policies, seeds)
    if "untuned" in wanted:
        report["untuned"] = table("shifts never tuned on", untuned, policies, seeds)
    if "speech" in wanted:
        report["speech"] = [row for task in speech_tasks(folder) for row in table("speech", task, policies, seeds)]
    if "continual" in wanted:
        report["continual"] = continual_table(tuned, own, seeds)
    if "long" in wanted:
        report["long"] = long_table(tuned, own)
    if "gradients" in wanted:
        report["gradients"] = gradient_table(folder, tuned)
    print(f"\n{time.time() - started:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
