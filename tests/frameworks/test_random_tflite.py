"""Random Keras networks through TensorFlow's converter: int8 files give TensorFlow Lite Micro's bytes, float32 ones LiteRT's.

Runs where TensorFlow is installed (`pip install tensorflow-cpu` into the frameworks' environment takes 1.3 GB more).
"""

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed: pip install tensorflow-cpu (1.3 GB)", allow_module_level=True)
pytest.importorskip("tflite_micro", reason="TensorFlow Lite Micro is not installed")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime

import edgebn

NETWORKS = 400 if os.environ.get("EDGEBN_TEST_ALL") == "1" else 40
AT_ONCE = 20  # networks a process of TensorFlow's: it grows
ARENA = 1 << 22
TOLERANCE = 2e-5  # of the output's range
MAX_APART = 0.02  # of the codes may be more than one off where only LiteRT runs a file: it rounds some layers otherwise
MAX_REFUSED = 0.05  # of all files


PLAIN, OPTIMISED = OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def litert(path, x, kernels):
    """Return every output of a file, from LiteRT's kernels; None where it has none for an operator."""
    outputs = []
    try:
        interpreter = Interpreter(str(path), experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
        (given,), results = interpreter.get_input_details(), interpreter.get_output_details()
        for sample in x:
            interpreter.set_tensor(given["index"], sample[np.newaxis])
            interpreter.invoke()
            outputs.append([interpreter.get_tensor(result["index"]).copy() for result in results])
    except (RuntimeError, ValueError):
        return None
    return [np.concatenate(part) for part in zip(*outputs, strict=True)]


def micro(path, codes, count):
    """Return every output of a file, from TensorFlow Lite Micro; None where it has no kernel for an operator."""
    outputs = []
    try:
        interpreter = runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=ARENA)
        for sample in codes:
            interpreter.set_input(sample[np.newaxis], 0)
            interpreter.invoke()
            outputs.append([interpreter.get_output(index).copy() for index in range(count)])
    except RuntimeError:
        return None
    return [np.concatenate(part) for part in zip(*outputs, strict=True)]


def codes_of(path, x):
    """Return the samples as codes of the file's input."""
    interpreter = Interpreter(str(path))
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    return np.clip(np.rint(x / scale) + zero_point, -128, 127).astype(np.int8)


def outcome(path, x):
    """Return 'passed', 'refused: ...' or in words what is wrong with a file.

    int8 codes are TensorFlow Lite Micro's, or LiteRT's where the two contradict each other (spaces to batches), each to the bit;
    where TensorFlow Lite Micro does not run the file, near to LiteRT's, which rounds dense layers once, and whose plain SUM of int8
    is far from the sum of what it reads.
    """
    integer = path.stem.endswith("int8")
    x = codes_of(path, x) if integer else x
    try:
        program = edgebn.load(path)
        result = edgebn.Session(program).run(x)
    except edgebn.EdgebnError as error:
        return f"refused: {error}"
    except Exception as error:  # noqa: BLE001  # whatever escapes is the finding
        return f"{type(error).__name__}: {error}"
    results = [result[name] for name in program.outputs] if isinstance(result, dict) else [result]
    found = [made for kernels in (PLAIN, OPTIMISED) if (made := litert(path, x, kernels)) is not None]
    if not found:
        return "LiteRT does not run it"
    expected = found[0]
    exact = micro(path, x, len(expected)) if integer else None
    for place, (name, ours, theirs) in enumerate(zip(program.outputs, results, expected, strict=True)):
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            return f"{name} is {ours.dtype} of shape {ours.shape}, not {theirs.dtype} {theirs.shape}"
        if integer:
            if exact is not None and (ours != theirs).any() and (ours != exact[place]).any():
                return f"{(ours != exact[place]).sum()} of {ours.size} codes of {name} differ"
            if exact is not None:
                continue
            apart = min((np.abs(ours.astype(int) - made[place]) > 1).mean() for made in found)
            if apart > MAX_APART:
                return f"{100 * apart:.0f} % of the codes of {name} are more than one off"
        else:
            error = np.abs(ours - theirs).max() / max(float(np.ptp(theirs)), float(np.abs(theirs).max()), 1e-3)
            if not error <= TOLERANCE:
                return f"{name} is off by {error:.2g} of its range"
    return "passed"


@pytest.mark.filterwarnings("ignore")  # LiteRT warns of its own future
def test_random_networks(tmp_path):
    script = Path(__file__).parent / "convert_keras.py"
    for first in range(0, NETWORKS, AT_ONCE):
        subprocess.run([sys.executable, script, tmp_path, str(first), str(AT_ONCE)], check=True, capture_output=True)
    files = sorted(tmp_path.glob("*.tflite"))
    assert len(files) > NETWORKS, "TensorFlow's converter takes hardly any network"
    outcomes = {path.stem: outcome(path, np.load(tmp_path / f"{path.stem.split('_')[0]}.npz")["x"]) for path in files}
    refused = Counter(
        re.sub(r"'[^']*'|\d+", "#", words.split(": ", 2)[-1]) for words in outcomes.values() if words.startswith("refused")
    )
    wrong = {name: words for name, words in outcomes.items() if words != "passed" and not words.startswith("refused")}
    print(f"{len(files)} files, refused: {dict(refused)}")
    assert not wrong
    assert sum(refused.values()) <= MAX_REFUSED * len(files), refused
