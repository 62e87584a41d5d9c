"""The benchmarks themselves: peers compute what edgebn computes, and a tiny round of everything writes its files."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import inference, run
from benchmarks.networks import FLOAT32, INT8, generated
from benchmarks.peers import Runner
from tests.conftest import TEST_ALL

TINY = 32  # pixels on a side


@pytest.fixture(scope="module")
def cases():
    return {case.form: case for case in generated(TINY)}


@pytest.mark.parametrize("form", [FLOAT32, INT8])
def test_peers_compute_what_is_timed(cases, form):
    runners = inference.open_all(cases[form])
    assert {"edgebn", "LiteRT", "onnxruntime"} <= runners.keys()  # ncnn where it is installed


@pytest.mark.parametrize("form", [FLOAT32, INT8])
def test_a_peer_that_computes_something_else_is_not_timed(cases, form, monkeypatch):
    case = cases[form]
    wrong = np.full_like(inference.ours(case).output(), 127)
    monkeypatch.setattr(inference, "open_litert", lambda _file, _x: Runner(lambda: None, lambda: wrong))
    with pytest.raises(inference.DisagreementError, match="LiteRT"):
        inference.open_all(case)


def test_a_tiny_round_writes_what_it_measured(cases, tmp_path, capsys):
    small = [dataclasses.replace(cases[INT8], network="small")]
    run.run(small, rounds=1, starts=int(TEST_ALL), output=tmp_path)  # a start needs an object: half a minute to build
    found = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    row = found["inference_us"]["small, int8 by edgebn"]
    assert row.keys() >= {"edgebn", "LiteRT", "onnxruntime"}
    assert all(0 < cell["minimum"] <= cell["median"] for cell in row.values())
    steps = found["layers"]["small, int8 by edgebn"]["steps"]
    assert sum(step["macs"] for step in steps) > 500_000
    starts = {name: start for name, start in found["startup"].items() if name != "network"}
    assert len(starts) == 4 * TEST_ALL
    assert all(start["resident"] > 10 for start in starts.values())
    assert "LiteRT / edgebn" in capsys.readouterr().out
