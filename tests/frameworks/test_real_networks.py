"""Networks of torchvision, timm and ultralytics as their exporters write them, ONNX and .pt2: against PyTorch, and quantised
beside onnxruntime. `make test-all` runs it where those packages are to be had.
"""

import gc
import io
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="live comparison: runs in the frameworks' environment of `make test-all`")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "recorders"))

import real_networks  # noqa: E402

real_networks.declare_missing_operators()
for package in ("torchvision", "timm", "ultralytics"):
    pytest.importorskip(package, reason=f"{package} is not installed: networks of its makers are not tried", exc_type=ImportError)

import edgebn  # noqa: E402
from benchmarks.passes import quantized_exports  # noqa: E402

TOLERANCE = 2e-5  # of the output's range
AS_FAR = 3.0  # times onnxruntime's own distance from PyTorch, where rounding is carried further than that

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch warns of itself


@lru_cache(maxsize=1)
def exported(name):
    """Return the ONNX file, the exported program, the input and PyTorch's outputs of one network at a time."""
    gc.collect()
    module, x = real_networks.built(name)
    with torch.no_grad():
        wanted = [tensor.numpy() for tensor in real_networks.tensors(module(x))]
        onnx_file, program = io.BytesIO(), io.BytesIO()
        torch.onnx.export(module, (x,), onnx_file, dynamo=False, opset_version=17)
        torch.export.save(torch.export.export(module, (x,)), program)
    return onnx_file.getvalue(), program.getvalue(), x.numpy(), wanted


def distance(ours, theirs) -> float:
    """Largest difference in parts of the range; ours may be channels-last."""
    turned = np.moveaxis(theirs, 1, -1) if theirs.ndim > 2 else theirs
    candidates = [array for array in (theirs, turned) if array.shape == ours.shape]
    assert candidates, f"shape {ours.shape} for {theirs.shape}"
    return min(float(np.abs(ours.astype(np.float64) - array).max()) for array in candidates) / float(np.ptp(theirs))


def onnxruntime_session(content):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(program, x) -> list[np.ndarray]:
    result = edgebn.Session(program).run(np.moveaxis(x, 1, -1))
    return list(result.values()) if isinstance(result, dict) else [result]


@pytest.mark.parametrize("name", [*real_networks.NETWORKS, *real_networks.MORE])
def test_exports_run_as_in_pytorch(name, tmp_path):
    onnx_file, program, x, wanted = exported(name)
    session = onnxruntime_session(onnx_file)
    theirs = session.run(None, {session.get_inputs()[0].name: x})
    allowed = [max(TOLERANCE, AS_FAR * distance(a, b)) for a, b in zip(theirs, wanted, strict=True)]
    for suffix, content in ((".onnx", onnx_file), (".pt2", program)):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(content)
        found = run(edgebn.load(path), x)
        assert len(found) == len(wanted)
        for ours, array, most in zip(found, wanted, allowed, strict=True):
            assert distance(ours, array) <= most, suffix


@pytest.mark.parametrize("name", real_networks.NETWORKS)
def test_quantised_as_near_to_float_as_onnxruntimes(name, tmp_path):
    """The first output on other pictures than those of the calibration."""
    path = tmp_path / "model.onnx"
    path.write_bytes(exported(name)[0])
    assert quantized_exports.ours(path) >= quantized_exports.onnxruntimes(path) - quantized_exports.SEEN
