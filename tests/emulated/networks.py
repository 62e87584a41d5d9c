"""Random networks on an emulated processor, beside what this machine makes of them: codes byte for byte, float32 but for rounding.

    python -m tests.emulated.networks draw FOLDER [--networks 200]     here: programs, samples and outputs
    tests/emulated/run.sh arm64 -- tests/emulated/networks.py          there, a test a network; EDGEBN_NETWORKS is the folder

What they are held against here, with the same seeds, is onnxruntime (`tests/test_random_networks.py`).
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pytest

import edgebn
from tests.programs import outputs_of

KINDS = ("quantized", "int16", "float")
TOLERANCE = 2e-5  # of a float32 output's range, as beside onnxruntime
FOLDER = os.environ.get("EDGEBN_NETWORKS")


def draw(folder, kind, seed):
    """Write one network, and return whether there is one: not where onnxruntime does not quantise it, or we refuse it."""
    from edgebn.errors import EdgebnError
    from tests.random_networks import networks
    from tests.random_networks.checking import lowered
    from tests.random_networks.quantizing import draw_settings, quantized

    network = networks.draw(seed, kind)
    model = network.model
    if kind != "float":
        try:
            model = quantized(model, network.calibration, draw_settings(seed, kind))
        except Exception:  # noqa: BLE001  # onnxruntime's exceptions have no base of their own
            return False
    try:
        program, given, _ = lowered(model, network.samples)
    except EdgebnError:
        return False
    arrays = {f"in_{name}": array for name, array in given.items()}
    arrays |= {f"out_{name}": array for name, array in outputs_of(program, given).items()}
    edgebn.save(program, folder / f"{kind}_{seed}.edgebn")
    np.savez(folder / f"{kind}_{seed}.npz", **arrays)
    return True


def drawn():
    return sorted(path.stem for path in Path(FOLDER).glob("*.npz")) if FOLDER else []


@pytest.mark.parametrize("name", drawn())
def test_outputs_are_those_of_the_other_machine(name):
    path = Path(FOLDER) / name
    arrays = dict(np.load(path.with_suffix(".npz")))
    given = {key.removeprefix("in_"): array for key, array in arrays.items() if key.startswith("in_")}
    program = edgebn.load(path.with_suffix(".edgebn"))
    for key, found in outputs_of(program, given).items():
        expected = arrays[f"out_{key}"]
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        if found.dtype != np.float32:
            assert np.array_equal(found, expected), key
            continue
        assert np.array_equal(np.isfinite(found), np.isfinite(expected))
        finite = np.isfinite(expected)
        scale = np.ptp(np.append(expected[finite], np.float32(0))) or 1
        assert np.abs(found[finite] - expected[finite]).max(initial=0) <= TOLERANCE * scale, key


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["draw"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", type=int, default=200, help="seeds of each kind")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    made = sum(draw(options.folder, one, number) for one in KINDS for number in range(options.networks))
    print(f"{made} networks of {len(KINDS) * options.networks} seeds in {options.folder}")
