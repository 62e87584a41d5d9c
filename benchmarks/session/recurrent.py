"""Times recurrent layers: edgebn, onnxruntime and, of an LSTM, LiteRT, one thread each, turn by turn.

    python -m benchmarks.session.recurrent [--rounds 8] [--json FILE]

One layer with random weights over a sequence, as networks for sound and text have it. In brackets: the peer's time over ours.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import edgebn
from benchmarks import inference
from benchmarks.peers.engines import Runner, open_litert
from tests.formats.tflite.tflite_recurrent import lstm_file

GATES = {"LSTM": 4, "GRU": 3}
# Moments, inputs and units: a frame of a detector of speech, key words, a denoiser, a recogniser of text.
SIZES = ((1, 64, 64), (49, 40, 64), (100, 64, 128), (50, 128, 256))
WAYS = ("edgebn", "onnxruntime", "LiteRT")
CALLS = 5


def onnx_file(kind: str, length: int, inputs: int, units: int) -> bytes:
    """Return an ONNX file of one layer."""
    from onnx import TensorProto, helper, numpy_helper

    rng, gates = np.random.default_rng(0), GATES[kind] * units
    shapes = {"w": (1, gates, inputs), "r": (1, gates, units), "b": (1, 2 * gates)}
    arrays = {name: rng.normal(0, 1 / np.sqrt(shape[-1]), shape).astype(np.float32) for name, shape in shapes.items()}
    attributes = {"linear_before_reset": 1} if kind == "GRU" else {}
    node = helper.make_node(kind, ["x", *arrays], ["y"], hidden_size=units, **attributes)
    graph = helper.make_graph(
        [node],
        kind,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (length, 1, inputs))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (length, 1, 1, units))],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def ours(content: bytes, suffix: str, x: np.ndarray) -> Runner:
    """Return edgebn with a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"layer{suffix}"
        path.write_bytes(content)
        session = edgebn.Session(edgebn.load(path))
    program = session.program
    given, out = x.reshape(1, *program.shapes[program.inputs[0]]), np.empty((1, *program.shapes[program.outputs[0]]), np.float32)
    return Runner(lambda: session.run(given, out), out.ravel)


def onnxruntime(content: bytes, x: np.ndarray) -> Runner | None:
    """Return onnxruntime with a file, or None where it is not installed."""
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")

    def output() -> np.ndarray:
        made: np.ndarray = binding.copy_outputs_to_cpu()[0]
        return made.ravel()

    return Runner(lambda: session.run_with_iobinding(binding), output)


def race(kind: str, size: tuple[int, int, int], rounds: int) -> dict[str, float]:
    """Return the microseconds of each way.

    Raises
    ------
    DisagreementError
        A peer's numbers are not ours.
    """
    length, inputs, _ = size
    x = np.random.default_rng(1).normal(0, 1, (length, 1, inputs)).astype(np.float32)
    content = onnx_file(kind, *size)
    runners = {"edgebn": ours(content, ".onnx", x), "onnxruntime": onnxruntime(content, x)}
    _compare(kind, *(runner for runner in runners.values() if runner is not None))
    if kind == "LSTM" and find_spec("ai_edge_litert") is not None:
        file = lstm_file(0, *size)
        runners["LiteRT"] = open_litert(file, x.reshape(1, length, inputs))
        _compare(kind, ours(file, ".tflite", x), runners["LiteRT"])
    found = {way: runner for way, runner in runners.items() if runner is not None}
    return {way: taken.median for way, taken in inference.interleave(found, rounds, CALLS).items()}


def _compare(kind: str, first: Runner, *others: Runner) -> None:
    """Hold the first runs against each other: LiteRT's layers go on from the state of the run before."""
    first.run()
    for other in others:
        other.run()
        if np.abs(first.output() - other.output()).max() > 1e-4:
            raise inference.DisagreementError(f"{kind}: a peer computes something else")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    print(f"{'microseconds (peer / ours)':34}" + "".join(f"{way:>20}" for way in WAYS))
    for kind in GATES:
        for size in SIZES:
            name = f"{kind}, {size[0]} moments, {size[1]} to {size[2]}"
            row = results[name] = race(kind, size, options.rounds)
            cells = [f"{row[way]:.1f} ({row[way] / row['edgebn']:.2f})" if way in row else "-" for way in WAYS]
            print(f"{name:34}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
