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

KINDS = ("quantized", "int16", "float")
TOLERANCE = 2e-5  # of a float32 output's range, as beside onnxruntime
FOLDER = os.environ.get("EDGEBN_NETWORKS")


def outputs_of(program, given):
    result = edgebn.Session(program).run(given)
    return result if isinstance(result, dict) else {program.outputs[0]: result}


def draw(folder, kind, seed):
    """Write one network, unless nothing can be made of that seed."""
    from edgebn.errors import EdgebnError
    from edgebn.formats.onnx import from_proto
    from edgebn.passes import lower
    from edgebn.passes.graph.layout import channels_first_values
    from tests.random_networks.networks import draw
    from tests.random_networks.quantizing import draw_settings, quantized

    network = draw(seed, kind)
    try:
        model = network.model if kind == "float" else quantized(network.model, network.calibration, draw_settings(seed, kind))
        graph = from_proto(model, "a random network")
        program = lower(graph)
        turned = channels_first_values(graph)
        given = {name: np.moveaxis(array, 1, -1) if name in turned else array for name, array in network.samples.items()}
        outputs = outputs_of(program, given)
        edgebn.save(program, folder / f"{kind}_{seed}.edgebn")
    except EdgebnError:
        return
    except Exception:  # noqa: BLE001  # what onnxruntime does not quantise
        return
    arrays = {f"in_{name}": array for name, array in given.items()} | {f"out_{name}": array for name, array in outputs.items()}
    np.savez(folder / f"{kind}_{seed}.npz", **arrays)


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
    for one in KINDS:
        for number in range(options.networks):
            draw(options.folder, one, number)
    print(f"{len(list(options.folder.glob('*.npz')))} networks in {options.folder}")
