"""`edgebn doctor`: every kernel is tested on this processor, a byte that differs is found, and the block says so.

Runs on emulated AArch64 too: `tests/emulated/run.sh arm64 -- tests/doctor/test_doctor.py`.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from edgebn import reference
from edgebn.cli.main import main
from edgebn.doctor import machine, recorded, speed
from edgebn.doctor.self_test import self_test
from edgebn.kernels import isa

# Kernels that vectors replace, and those that take their place.
PLAIN = {"convolution_f32", "convolution_i8", "depthwise_f32", "depthwise_i8", "write_records_i8"}
SHORT = {"average_f32"}  # where vectors are so short that they fit every drawn network
VECTORS = {"repeat_f32", "repeat_u8", "write_blocks_i8"}

ALLOWED = VECTORS if isa.SELECTED.name == "plain" else PLAIN | (SHORT if isa.SELECTED.vector_bytes == 16 else set())


@pytest.fixture(scope="module")
def networks():
    return list(recorded.read())


@pytest.fixture(scope="module")
def found(networks):
    return self_test(networks)


def test_every_byte_is_right_here(found):
    assert found.wrong == []
    assert found.threads[0] == 1 < found.threads[1]
    assert found.values > 250_000


def test_every_kernel_runs(found):
    """Where one is missing: python -m tests.recorders.record_doctor."""
    assert set(found.not_run) <= ALLOWED


def test_what_is_recorded_is_the_specification(networks):
    for network in networks:
        if network.policy:
            continue
        states = reference.initial_states(network.program)
        with np.errstate(all="ignore"):
            values = [reference.run_steps(network.program, {network.program.inputs[0]: x}, states=states) for x in network.inputs]
        for name, wanted in network.values.items():
            got = np.stack([one[name] for one in values])
            if wanted.dtype == np.float32:
                np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5, err_msg=network.name)
            else:
                np.testing.assert_array_equal(got, wanted, err_msg=network.name)


@pytest.mark.parametrize("prefix", ["int8-convolution", "float32-binary", "mixed-network", "int8-learning"])
def test_one_wrong_number_is_found(networks, prefix):
    network = next(one for one in networks if one.name.startswith(prefix))
    name, values = next(reversed(network.values.items()))
    changed = values.copy()
    changed.flat[-1] += 1 if changed.dtype == np.int8 else max(1, np.abs(values).max()) * 1e-2
    result = self_test([replace(network, values=network.values | {name: changed})])
    assert len(result.wrong) == 2
    assert result.wrong[0] == f"{network.name}, 1 thread: 1 of {values.size} numbers of '{name}' differ"


def test_a_wrong_state_is_found(networks):
    network = next(one for one in networks if one.name.startswith("int8-learning"))
    result = self_test([replace(network, state=network.state[:-1] + bytes([network.state[-1] ^ 1]))])
    assert result.wrong[0] == f"{network.name}, 1 thread: the state that it learned differs"


def test_the_block(monkeypatch, capsys, networks):
    monkeypatch.setattr("edgebn.doctor.self_test.read", lambda: iter(networks[:5]))
    assert main(["doctor", "--no-times"]) == 0
    text = capsys.readouterr().out
    assert f"instruction set  {isa.SELECTED.name}" in text
    assert " ".join(sorted(isa.SELECTED.features)) in text
    assert "every byte is right: 5 networks" in text
    assert main(["doctor", "--no-times", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["self_test"]["passed"] is True
    assert report["versions"]["numpy"] == np.__version__
    assert report["machine"]["cores"] == os.cpu_count()


def test_a_difference_is_exit_code_1(monkeypatch, capsys, networks):
    broken = replace(networks[0], values={name: value + 1 for name, value in networks[0].values.items()})
    monkeypatch.setattr("edgebn.doctor.self_test.read", lambda: iter([broken]))
    assert main(["doctor", "--json"]) == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["self_test"]["passed"] is False
    assert report["times"] == {}
    assert "differ from the specification" in captured.err


def test_a_numpy_alone_is_enough():
    """No extra is imported: a board has what it has."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('rich', 'h5py', 'onnx', 'flatbuffers', 'PIL', 'onnxruntime')))\n"
        "import edgebn.doctor.self_test as s, edgebn.doctor.machine as m; m.machine(); m.versions(); print(len(list(s.read())))"
    )
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("an emulated Python starts no other of its kind")
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(found.stdout) > 100


def test_times_have_every_engine_that_is_here(monkeypatch):
    monkeypatch.setattr(speed, "RUNS", 2)
    found = speed.times()
    times = found[speed.PEERS_TOO]
    assert times["edgebn, 1 thread"]["minimum_ms"] > 0
    for package, name in (("ai_edge_litert", "LiteRT"), ("onnxruntime", "onnxruntime")):
        try:
            __import__(package)
        except ImportError:
            continue
        assert f"{name}, 1 thread" in times
    pytest.importorskip("h5py")
    for dtype in ("float32", "int8"):
        assert found[f"fashion_mnist, {dtype}"]["edgebn, 1 thread"]["minimum_ms"] > 0


def test_peers_compute_the_network_that_is_timed():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("ai_edge_litert")
    import edgebn

    program = edgebn.load(speed.NETWORK.with_suffix(".edgebn"))
    codes = np.random.default_rng(0).integers(-128, 128, (1, 96, 96, 3)).astype(np.int8)
    ours = edgebn.Session(program).run(codes)[0]
    theirs = speed._onnxruntime(codes, 1)()[0].ravel().astype(np.int16) - 128
    assert np.abs(ours - theirs).max() <= 2


CPUINFO = {
    "model name\t: Intel(R) Xeon(R)\nmodel name\t: other\n": "Intel(R) Xeon(R)",
    "CPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n": "Raspberry Pi 4 Model B Rev 1.4",
    "processor\t: 0\nCPU part\t: 0xd0b\n": "Arm part 0xd0b",
}


@pytest.mark.parametrize("text", CPUINFO)
def test_processors_have_names(text):
    assert machine.processor(text) == CPUINFO[text]


def test_temperatures(tmp_path):
    for number, (kind, temperature) in enumerate([("cpu-thermal", "48312\n"), ("broken", "hot"), ("gpu", "-1000")]):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "type").write_text(kind)
        (zone / "temp").write_text(temperature)
    assert machine.temperatures(tmp_path) == {"cpu-thermal": 48.312, "gpu": -1.0}
