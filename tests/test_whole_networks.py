"""Whole networks of full size against onnxruntime: maps larger than caches go other ways than the small ones of other tests."""

import numpy as np
import pytest

import edgebn
from benchmarks.models.architectures import NETWORKS
from benchmarks.peers.export_onnx import onnx_bytes
from benchmarks.peers.plain import plain
from tests.conftest import TEST_ALL

ort = pytest.importorskip("onnxruntime")
SOME = ("MobileNet v3", "MnasNet 0.5", "YOLOv8n")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NETWORKS if TEST_ALL else SOME)
def test_float32(name, threads):
    program = NETWORKS[name]()
    x = np.random.default_rng(1).standard_normal((1, *program.shapes[program.inputs[0]])).astype(np.float32)
    peer = ort.InferenceSession(onnx_bytes(plain(program)), providers=["CPUExecutionProvider"])
    (entry,) = peer.get_inputs()
    wanted = peer.run(None, {entry.name: x if list(entry.shape[1:]) == list(x.shape[1:]) else x.transpose(0, 3, 1, 2)})[0]
    session = edgebn.Session(program, threads=threads)
    for _ in range(2):  # a second run finds what the first left behind
        found = session.run(x)
        if found.shape != wanted.shape:
            found = found.transpose(0, 3, 1, 2)
        assert np.abs(found - wanted).max() <= 1e-5 * np.ptp(wanted)
