"""Records the networks of `edgebn doctor`: random programs of every kind of step, and what the NumPy specification makes of them.

    python -m tests.recorders.record_doctor            add networks for kernels that none of those there are needs; a minute
    python -m tests.recorders.record_doctor --anew     all of them, on every instruction set of this CPU, and what is timed
    python -m tests.recorders.record_doctor --timed    what is timed alone

tests/doctor/test_doctor.py says which kernels no network needs.
"""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

import edgebn
from benchmarks.models.mobilenet import mobilenet
from benchmarks.peers.export_onnx import onnx_bytes
from benchmarks.peers.export_tflite import tflite_bytes
from benchmarks.peers.plain import plain
from edgebn import passes, reference
from edgebn import program as p
from edgebn.adapt.engines import ReferenceEngine
from edgebn.doctor.recorded import DATA, NETWORKS, Recorded, read, write
from edgebn.doctor.self_test import as_if_large, sharing_everything
from edgebn.kernels import executor, isa
from tests import test_tiny
from tests.programs import CONVERSIONS, KINDS, Maker, inputs_for, programs, single, stateful
from tests.test_contract import GEOMETRIES, convolution_program

SAMPLES = 2
DRAWN = 80  # of each kind
SIZES = 100, 4_000  # numbers in a network's values and weights: not of one pixel, and not many bytes
WHOLE = "float32", "int8"  # types that whole networks are of
POLICIES = "compensated", "compensated-tracking", "moments"
TELLING = (
    "variant",
    "cell",
    "function",
    "neg",
    "general",
    "mode",
    "by_count",
    "ties",
    "centred",
)  # arguments that choose other code


def drawn(strategy):
    found = []

    @settings(max_examples=DRAWN, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(strategy)
    def collect(program):
        found.append(program)

    collect()
    return found


def recorded(name, program):
    """Return a network with its values, or None where float32 numbers are so large or odd that they say nothing."""
    program = replace(program, name=name, source=name)
    x = inputs_for(program, SAMPLES)
    states = reference.initial_states(program)
    with np.errstate(all="ignore"):
        found = [reference.run_steps(program, {program.inputs[0]: sample}, states=states) for sample in x]
    arrays = {one: np.stack([values[one] for values in found]) for one in program.buffers if one not in program.constants}
    if any(
        not np.isfinite(value).all() or np.abs(value).max(initial=0) > 1e3 for value in arrays.values() if value.dtype.kind == "f"
    ):
        return None
    return Recorded(name, program, x, arrays)


def size(network):
    weights = sum(step.weight.size for step in network.program.steps if hasattr(step, "weight"))
    return sum(value.size for value in network.values.values()) + weights


def candidates():
    """Return networks of every kind, the smaller first."""
    found = []
    for dtype in KINDS:
        strategies = {kind: single(kind, dtype) for kind in (*KINDS[dtype], CONVERSIONS[dtype])}
        if dtype in WHOLE:
            strategies |= {"network": programs(dtype), "states": stateful(dtype)}
        for kind, strategy in strategies.items():
            found += [(f"{dtype}-{kind}-{number}", program) for number, program in enumerate(drawn(strategy))]
        for seed, geometry in enumerate(GEOMETRIES if dtype in WHOLE else ()):
            found.append((f"{dtype}-convolution-of-shape-{seed}", convolution_program(geometry, dtype, seed)))
    found += [(f"mixed-network-{number}", program) for number, program in enumerate(drawn(programs("mixed")))]
    networks = [one for name, program in found if (one := recorded(name, program)) is not None]
    return sorted((one for one in networks if SIZES[0] <= size(one) <= SIZES[1] or is_rare(one)), key=size)


def is_rare(network):
    """Whether a network has a step that is in few that are small."""
    return network.name.startswith(("int8-wide", "mixed")) and size(network) < 4 * SIZES[1]


def features(networks):
    """Return, for each network, what it needs on this process' instruction set: kernels, and arguments that choose code in them."""
    found, row = [], executor.row
    needs = set()

    def noted(operation, **arguments):
        telling = [f"{name}={arguments[name]}" for name in TELLING if name in arguments]
        needs.add(" ".join([isa.SELECTED.name, operation.name, *telling]))
        return row(operation, **arguments)

    for one in networks:
        needs.clear()
        for threads in (1, 2):
            with as_if_large(), sharing_everything() if threads > 1 else nullcontext(), patch.object(executor, "row", noted):
                session = edgebn.Session(one.program, threads)
                session.run_buffers(one.inputs)
                session.run(one.inputs)
        found.append(sorted(needs))
    return found


def chosen(sets, kept, found):
    """Return `kept` and as few more of those found as need everything that all need on some instruction sets of this CPU."""
    networks = [*kept, *(one for one in found if one.name not in {network.name for network in kept})]
    needs = [set() for _ in networks]
    for one in sets:
        output = subprocess.run(
            [sys.executable, "-m", "tests.recorders.record_doctor", "--features", *(network.name for network in kept)],
            env=os.environ | {"EDGEBN_ISA": one.name}, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        for need, rows in zip(needs, json.loads(output), strict=True):
            need.update(rows)
    taken = list(kept)
    missing = set().union(*needs).difference(*needs[: len(kept)])
    while missing:  # the one that adds most for its size
        best = max(range(len(networks)), key=lambda i: len(needs[i] & missing) / (1000 + size(networks[i])))
        taken.append(networks[best])
        missing -= needs[best]
    return taken


def dense(dtype):
    """Return a network with a dense layer of a kernel of its own behind a ReLU: it takes more weights than a drawn one has."""
    maker = Maker(None, dtype, np.random.default_rng(0))
    x = maker.buffer((1, 1, 8))
    style = (-np.inf, np.inf), (0.0, np.inf), (-128, 127), False
    for outputs in (128, 32):
        depth = maker.shape(x)[2]
        y = maker.buffer((1, 1, outputs))
        epilogue = maker.epilogue(outputs, depth, y, style)
        x = maker.finish_step(p.Convolution(f"dense{outputs}", (x,), y, maker.weight((outputs, 1, 1, depth)), epilogue))
    return recorded(f"{dtype}-dense", maker.program(("v0",), (x,)))


def direct():
    """Return a network whose output is so large that its writer puts it into the user's array at once."""
    maker = Maker(None, "float32", np.random.default_rng(0))
    x = maker.buffer((8, 8, 2))
    y = maker.buffer((8, 8, 64))
    style = (-np.inf, np.inf), (0.0, 6.0), (-128, 127), False
    step = p.Convolution("direct", (x,), y, maker.weight((64, 1, 1, 2)), maker.epilogue(64, 2, y, style))
    maker.finish_step(step)
    return recorded("float32-direct", maker.program((x,), (y,)))


def averages(dtype):
    """Return a network with the averages of a map of several blocks of pixels: in int8 of its own scale, and of another."""
    maker = Maker(None, dtype, np.random.default_rng(0))
    x = maker.buffer((7, 7, 20))
    window = p.Window("average", (7, 7), (1, 1))
    pooled = [maker.buffer((1, 1, 20)) for _ in range(2 if dtype == "int8" else 1)]
    for number, y in enumerate(pooled):
        epilogue = maker.average_epilogue(y, 49, by_count=False) if number else None
        if dtype == "int8" and not number:
            maker.buffers[y] = replace(maker.buffers[x], name=y, shape=(1, 1, 20))
        maker.finish_step(p.Pool(f"average{number}", (x,), y, window, epilogue))
    return recorded(f"{dtype}-averages", maker.program((x,), tuple(pooled)))


def images(count, seed):
    return np.random.default_rng(seed).normal(0, 1, (count, 8, 8, 3)).astype(np.float32)


def learning():
    real = passes.lower(test_tiny.network())
    models = {"float32": real, "int8": edgebn.quantize(real, images(40, 1))}
    x = np.concatenate([images(10, 3), images(30, 4) * 1.7 + 0.4, images(10, 5) * 0.4 - 0.8]).astype(np.float32)
    for dtype, model in models.items():
        adaptable = edgebn.adaptable(model, images(80, 2))
        for policy in POLICIES:
            adapter = edgebn.Adapter(ReferenceEngine(adaptable), policy)
            outputs = np.concatenate([adapter.run(x[i : i + 1]) for i in range(len(x))])
            name = f"{dtype}-learning-{policy}"
            program = replace(adaptable, name=name, source=name)
            yield Recorded(name, program, x, {adaptable.outputs[0]: outputs}, policy, adapter.to_bytes())


def of_few_weights(program):
    """Return an int8 program whose weights take seven values: in a wheel it has not half the bytes."""
    steps = []
    for step in program.steps:
        if isinstance(step, p.Convolution):
            weight = np.clip(np.round(step.weight / 32) * 32, -96, 96).astype(np.int8)
            lost = (step.weight.astype(np.int64) - weight).sum(axis=(1, 2, 3))
            bias = step.epilogue.acc_bias + program.buffers[step.inputs[0]].zero_point * lost
            step = replace(step, weight=weight, epilogue=replace(step.epilogue, acc_bias=bias.astype(np.int32)))
        steps.append(step)
    return replace(program, steps=tuple(steps))


def without_norms(step):
    """Return a step without what adaptation alone reads, nor what the peers' files are written from."""
    return replace(step, epilogue=replace(step.epilogue, norms=())) if isinstance(step, p.Convolution) else step


def timed():
    """Write the network that is timed: MobileNet v1 of a quarter of the channels, 96 x 96 x 3, two classes."""
    real = mobilenet()
    rng = np.random.default_rng(0)
    program = of_few_weights(edgebn.quantize(real, rng.normal(0, 1, (8, 96, 96, 3)).astype(np.float32)))
    edgebn.save(replace(program, steps=tuple(map(without_norms, program.steps))), DATA / "mobilenet.edgebn")
    (DATA / "mobilenet.tflite").write_bytes(tflite_bytes(plain(program)))
    (DATA / "mobilenet.onnx").write_bytes(onnx_bytes(plain(program)))


def main():
    DATA.mkdir(exist_ok=True)
    if "--timed" in sys.argv:
        timed()
        return
    anew = "--anew" in sys.argv or not NETWORKS.exists()
    there = [] if anew else read()
    found = candidates()  # before anything else runs, as in `--features`: Hypothesis draws by the modules that are loaded, too
    by_hand = [*map(dense, WHOLE), *map(averages, WHOLE), direct(), *learning()]
    kept = [one for one in there if one.name not in {other.name for other in by_hand}]
    networks = [*chosen(isa.AVAILABLE if anew else [isa.SELECTED], kept, found), *by_hand]
    write(sorted(networks, key=lambda network: network.name))
    if anew:
        timed()
    print(len(networks), "networks,", NETWORKS.stat().st_size, "bytes")


if __name__ == "__main__":
    if "--features" in sys.argv:
        names = sys.argv[2:]
        there = {one.name: one for one in read()} if names else {}
        kept = [there[name] for name in names]
        print(json.dumps(features([*kept, *(one for one in candidates() if one.name not in set(names))])))
    else:
        main()
