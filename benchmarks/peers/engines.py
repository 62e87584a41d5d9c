"""The engines that edgebn is compared with: LiteRT (XNNPACK), onnxruntime and ncnn, on some threads, each optional.

`open_*` returns a `Runner`, or None where the engine is not installed or the network cannot be written for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.peers.plain import NotExportedError, plain
from edgebn.program import Program


@dataclass(frozen=True)
class Runner:
    """One engine with one network and one input in it.

    Attributes
    ----------
    run : callable
        One inference.
    output : callable
        The result of the last `run`: flat, float32, or int8 codes.
    """

    run: Callable[[], object]
    output: Callable[[], np.ndarray]


def tflite_of(program: Program) -> bytes | None:
    """Return a TensorFlow Lite file with `program`'s weights, or None where it cannot be written."""
    if find_spec("ai_edge_litert") is None or find_spec("flatbuffers") is None:
        return None
    from benchmarks.peers.export_tflite import tflite_bytes

    try:
        return tflite_bytes(plain(program))
    except NotExportedError:
        return None


def open_litert(file: bytes | None, x: np.ndarray, threads: int = 1) -> Runner | None:
    """`x` (N, ...) is int8 codes or float32, as the file's input is; None too where the file takes fewer samples at once."""
    if file is None or find_spec("ai_edge_litert") is None:
        return None
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=file, num_threads=threads)
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape = (len(x), *entry["shape"][1:])
    if len(x) > 1:
        interpreter.resize_tensor_input(entry["index"], shape)
    try:
        interpreter.allocate_tensors()
    except RuntimeError:  # shapes in the file are of one sample
        if len(x) > 1:
            return None
        raise
    interpreter.set_tensor(entry["index"], x.reshape(shape))
    return Runner(interpreter.invoke, lambda: interpreter.get_tensor(exit_["index"]).ravel())


def open_onnxruntime(program: Program, x: np.ndarray, threads: int = 1) -> Runner | None:
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return None
    import onnxruntime

    from benchmarks.peers.export_onnx import UNSIGNED, onnx_bytes

    try:
        file = onnx_bytes(plain(program))
    except NotExportedError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Without VNNI its products of uint8 and int8 saturate at 16 bits, and what it computes is another network.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    entry, exit_ = session.get_inputs()[0], session.get_outputs()[0]
    given = _channels_first(x) if len(entry.shape) == 4 else x.reshape(entry.shape)
    if x.dtype == np.int8:
        given = (given.astype(np.int16) + UNSIGNED).astype(np.uint8)
    # Bound once, so that no call from Python copies or allocates.
    binding = session.io_binding()
    binding.bind_ortvalue_input(entry.name, onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(given)))
    result = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(exit_.shape, given.dtype))
    binding.bind_ortvalue_output(exit_.name, result)

    def output() -> np.ndarray:
        found = result.numpy()
        if found.dtype == np.uint8:
            found = (found.astype(np.int16) - UNSIGNED).astype(np.int8)
        return (np.moveaxis(found, 1, -1) if found.ndim == 4 else found).ravel()

    return Runner(lambda: session.run_with_iobinding(binding), output)


def open_ncnn(program: Program, x: np.ndarray, threads: int = 1) -> Runner | None:
    if find_spec("ncnn") is None:
        return None
    import ncnn

    from benchmarks.peers.export_ncnn import ncnn_files

    try:
        network = plain(program)
        listing, weights = ncnn_files(network)
    except NotExportedError:
        return None
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    with tempfile.TemporaryDirectory() as folder:
        param, model = Path(folder, "net.param"), Path(folder, "net.bin")
        param.write_text(listing, encoding="ascii")
        model.write_bytes(weights)
        if net.load_param(str(param)) or net.load_model(str(model)):
            raise RuntimeError("ncnn refuses the files that the benchmark wrote for it")
    is_vector = network.layers[0].kind == "dense" and x.ndim == 2
    array = np.ascontiguousarray(x[0] if is_vector else _channels_first(x)[0])
    first, result = network.values[network.input], network.values[network.output]
    if network.integer:  # float32 outside, as ncnn has it
        array = ((array.astype(np.float32) - first.zero_point) * first.scale).astype(np.float32)
    given = ncnn.Mat(array).clone()  # a Mat of an array only borrows its memory
    last: list[object] = []

    def run() -> None:
        extractor = net.create_extractor()
        extractor.input("b0", given)
        last[:] = [extractor.extract("output")[1]]

    def output() -> np.ndarray:
        found = np.array(last[0])
        if network.integer:
            found = np.clip(np.rint(found / result.scale) + result.zero_point, -128, 127).astype(np.int8)
        return (np.moveaxis(found, 0, -1) if found.ndim == 3 else found).ravel()

    return Runner(run, output)


def versions() -> dict[str, str | None]:
    """Return the version of every engine; None where it is not installed."""
    packages = {"edgebn": "edgebn", "litert": "ai_edge_litert", "onnxruntime": "onnxruntime", "ncnn": "ncnn"}
    found = {}
    for engine, package in packages.items():
        if engine == "edgebn":
            continue
        found[engine] = version(package.replace("_", "-")) if find_spec(package) else None
    return found


def _channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x.reshape((1,) * (4 - x.ndim) + x.shape), -1, 1))
