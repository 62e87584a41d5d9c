"""The benchmarks themselves: peers compute what edgebn computes, and a tiny round of everything writes its files."""

import dataclasses
import json
from importlib.util import find_spec

import numpy as np
import pytest

import edgebn
from benchmarks import files, inference, larger, run
from benchmarks.models.architectures import Stack
from benchmarks.models.networks import FLOAT32, INT8, Case, codes, generated
from benchmarks.peers import export_onnx
from benchmarks.peers.engines import Runner, tflite_of
from benchmarks.peers.export_onnx import onnx_bytes
from benchmarks.peers.plain import NotExportedError, plain
from benchmarks.session import critical_path
from edgebn import program as p
from edgebn import reference
from tests.conftest import TEST_ALL
from tests.passes.test_quantize import Maker

onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

TINY = 32  # pixels on a side
PEERS = {"edgebn", "LiteRT", "onnxruntime", *(["ncnn"] if find_spec("ncnn") else [])}


@pytest.fixture(scope="module")
def cases():
    return {case.form: case for case in generated(TINY)}


@pytest.mark.parametrize("form", [FLOAT32, INT8])
def test_peers_compute_what_is_timed(cases, form):
    runners = inference.open_all(cases[form])
    assert runners.keys() >= PEERS


def every_kind():
    """Return a small network with all that `architectures` is made of."""
    net = Stack("every_kind", 16)
    x = net.pool(net.convolution(net.input, 16, 3), 3, 2, 1)
    for act in ("relu6", "silu", "hard_swish"):
        x = net.depthwise(x, 3, 1, act=act)
    x = net.squeeze(x, 8, act="silu", gate="sigmoid")
    x = net.squeeze(x, 8, act="relu", gate="hard_sigmoid")
    y = net.convolution(net.pool(net.convolution(x, 8, act="silu"), 5, 1, 2), 16, act="")
    x = net.concat(net.upsample(net.add(x, y)), net.upsample(y))
    return net.finish(net.convolution(x, 4, act="sigmoid"))


def case_of(program, form):
    x = np.random.default_rng(0).normal(0, 1, (8, *program.shapes[program.inputs[0]])).astype(np.float32)
    if form == INT8:
        program = edgebn.quantize(program, x)
        return Case("every kind", form, program, tflite_of(program), codes(program, x[:1]))
    return Case("every kind", form, program, tflite_of(program), x[:1])


@pytest.mark.parametrize("mode", ["half_pixel", "align_corners", "asymmetric"])
def test_movement_and_several_outputs_are_written_as_onnx(mode):
    make = Maker((6, 7, 3))
    given = make.convolution("x", 8)
    wide = make.add(p.Pad, (given,), (8, 10, 9), ((1, 1), (2, 1), (0, 1)), 0.5)
    part = make.add(p.Crop, (wide,), (6, 7, 8), (1, 3, 1))
    joined = make.add(p.Concat, (given, part), (12, 7, 8), 0)
    turned = make.add(p.Transpose, (joined,), (7, 8, 12), (1, 2, 0))
    places = [export_onnx._positions(mode, 2 * size, size) for size in (7, 8)]
    low = [np.floor(place).astype(np.int32) for place in places]
    pixels = [np.stack([at, np.minimum(at + 1, size - 1)], axis=1) for at, size in zip(low, (7, 8), strict=True)]
    weights = [np.stack([1 - place + at, place - at], axis=1).astype(np.float32) for place, at in zip(places, low, strict=True)]
    resized = make.add(p.Resize, (turned,), (14, 16, 12), "bilinear", *pixels, *weights)
    flat = make.add(p.Reshape, (resized,), (1, 224, 12))
    program = make.finish(flat)
    program = dataclasses.replace(program, outputs=(flat, part), shapes={**program.shapes, part: (6, 7, 8)})
    x = np.random.default_rng(0).normal(size=(1, 6, 7, 3)).astype(np.float32)
    file = onnx_bytes(plain(program, movement=True))
    options = onnxruntime.SessionOptions()  # its optimiser would move transposes behind the resize, which then has other axes
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    found = onnxruntime.InferenceSession(file, options).run(None, {"x": x.transpose(0, 3, 1, 2)})
    wanted = reference.run(program, x)
    for name, array in zip(program.outputs, found, strict=True):
        ours = wanted[name].reshape(1, *program.buffers[name].shape)
        np.testing.assert_allclose(np.moveaxis(array, 1, -1), ours, atol=1e-4)
    with pytest.raises(NotExportedError):
        plain(program)


@pytest.mark.parametrize("form", [FLOAT32, INT8])
def test_peers_compute_every_kind_of_layer(form):
    found = case_of(every_kind(), form)
    result = larger.race(found, 2, 1)
    assert result.times.keys() >= PEERS
    assert max(result.apart.values()) <= inference.TOLERANCE[found.program.dtype]
    assert "every kind" in larger.line(result, 0.2)


def test_a_run_that_is_stopped_leaves_what_it_has_measured(tmp_path, monkeypatch, capsys):
    def race(found, threads, _rounds, _clock):
        if threads == 2:
            raise KeyboardInterrupt
        return larger.Race(found.name, threads, {"edgebn": inference.Times(1.0, 1.0)}, {"edgebn": 0.0})

    made = tmp_path / "larger.json"
    monkeypatch.setattr(larger, "case", lambda _name, _dtype: case_of(every_kind(), FLOAT32))
    monkeypatch.setattr(larger, "race", race)
    monkeypatch.setattr("sys.argv", ["larger", "--networks", "U-Net", "--threads", "1", "2", "--json", str(made)])
    with pytest.raises(KeyboardInterrupt):
        larger.main()
    assert [(found["network"], found["threads"]) for found in json.loads(made.read_text())] == [("every kind, float32", 1)]
    assert "2 thread(s): timing" in capsys.readouterr().err


def test_speed_ups_are_of_each_engine_and_network():
    def race(name, threads, ours, theirs):
        times = {"edgebn": inference.Times(ours, ours), "LiteRT": inference.Times(theirs, theirs)}
        return larger.Race(name, threads, times, dict.fromkeys(times, 0.0))

    races = [race("a", 1, 10.0, 9.0), race("a", 2, 5.0, 6.0), race("b", 2, 1.0, 1.0)]
    (line,) = larger.speed_ups(races).splitlines()
    assert line.split(maxsplit=2) == ["a", "2", "speed-up: edgebn 2.00, LiteRT 1.50"]


def test_busy_neighbours_end_with_the_run(monkeypatch):
    started, start = [], larger.subprocess.Popen
    monkeypatch.setattr(larger.subprocess, "Popen", lambda command: started.append(start(command)) or started[-1])
    with pytest.raises(KeyboardInterrupt), larger.busy(2):
        raise KeyboardInterrupt
    assert [process.returncode is not None for process in started] == [True, True]


def test_files_of_a_folder_are_timed_beside_their_runtimes(tmp_path, capsys):
    found = case_of(every_kind(), FLOAT32)
    (tmp_path / "a.tflite").write_bytes(found.tflite)
    (tmp_path / "b.onnx").write_bytes(onnx_bytes(plain(found.program)))
    (tmp_path / "c.onnx").write_bytes(b"no model")
    races, refused = files.measure(sorted(tmp_path.iterdir()), [1], 1)
    assert [(race.name, len(race.times)) for race in races] == [("a.tflite", 2), ("b.onnx", 2)]
    assert list(refused) == ["c.onnx"]
    assert "of 2; geometric mean" in capsys.readouterr().out


def test_a_folder_without_models_is_told(tmp_path, monkeypatch, capsys):
    for folder in (tmp_path, tmp_path / "missing"):
        monkeypatch.setattr("sys.argv", ["files", str(folder)])
        with pytest.raises(SystemExit):
            files.main()
        assert f"{folder}: no folder with model files in it (.tflite, .onnx" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["8,10", "12,9"])
def test_files_with_open_shapes_are_timed_at_the_shape_that_is_given(size, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Conv", ["x", "w"], ["y"])],
            "open",
            [onnx.helper.make_tensor_value_info("x", 1, ["n", 3, "h", "w_"])],
            [onnx.helper.make_tensor_value_info("y", 1, None)],
            [onnx.helper.make_tensor("w", 1, (4, 3, 3, 3), np.ones(108, np.float32))],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.save(made, tmp_path / "open.onnx")
    name, given = files.named_shape(f"open.onnx=3,{size}")
    races, refused = files.measure([tmp_path / "open.onnx"], [1], 1, {name: given})
    assert [(race.name, len(race.times)) for race in races] == [("open.onnx", 2)], refused
    races, refused = files.measure([tmp_path / "open.onnx"], [1], 1)
    assert not races
    assert "input_shape=" in refused["open.onnx"]


def test_what_several_cores_would_take_is_scheduled():
    phases = [[6.0], [5.0, 3.0, 5.0, 3.0], [4.0, 4.0]]
    assert critical_path.scheduled(phases, 1, 1.0) == 30
    assert critical_path.scheduled(phases, 2, 1.0) == 6 + 9 + 5
    assert critical_path.scheduled(phases, 4, 0.0) == 6 + 5 + 4
    found = list(critical_path.predictions(every_kind(), 1, 0.5))
    assert [one.cores for one in found] == list(critical_path.CORES)


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
    assert row.keys() >= PEERS
    assert all(0 < cell["minimum"] <= cell["median"] for cell in row.values())
    steps = found["layers"]["small, int8 by edgebn"]["steps"]
    assert sum(step["macs"] for step in steps) > 500_000
    starts = {name: start for name, start in found["startup"].items() if name != "network"}
    assert len(starts) == 5 * TEST_ALL
    assert all(start["resident"] > 10 for start in starts.values())
    assert "LiteRT / edgebn" in capsys.readouterr().out


def test_the_threads_own_time_is_that_of_one_thread(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["larger", "--cpu-time", "--networks", "MnasNet 0.5"])
    with pytest.raises(SystemExit):
        larger.main()
    assert "--threads 1" in capsys.readouterr().err
