"""`edgebn device`: verify, run, bench, info and reset on emulated boards, and over a port as on real ones."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import edgebn
from boards import emulator, toolchain
from edgebn import layers, passes
from edgebn.cli.device import target, verify
from edgebn.cli.main import main
from edgebn.errors import LinkError
from edgebn.graph import GraphBuilder
from tests import emitted
from tests.codegen.test_codegen_kernels import drawn
from tests.conftest import TEST_ALL
from tests.programs import programs

BOARDS = ["host", "mps2-an386"]
MORE_BOARDS = ["mps2-an385", "mps2-an385-m0", "mps2-an500", "mps2-an505", "mps3-an547", "qemu-riscv32-virt"]
pytest.importorskip("h5py", reason="h5py is not installed: the model is a Keras file")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Files: the demo's network in float32, the same in int8, and 12 inputs."""
    folder = tmp_path_factory.mktemp("models")
    data = Path(edgebn.__file__).parent / "demo_data"
    images = np.load(data / "fashion_mnist_slice.npz")["images"][:50] / np.float32(255)
    float32 = edgebn.load(data / "fashion_mnist.keras")
    edgebn.save(float32, folder / "float32.edgebn")
    edgebn.save(edgebn.quantize(float32, images), folder / "int8.edgebn")
    np.save(folder / "images.npy", images[:3])
    return folder


def answer(capsys, *arguments, status=0):
    """Run the command with --json; return its exit code's report."""
    assert main(["device", *map(str, arguments), "--json"]) == status
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("board", BOARDS + (MORE_BOARDS if TEST_ALL else []))
def test_verify_finds_every_layer_as_the_reference_has_it(models, board, dtype, capsys):
    found = emitted.board_or_skip(board)
    if (models / f"{dtype}.edgebn").stat().st_size > found.flash.size > 0:
        pytest.skip(f"the network in {dtype} does not fit {board}")
    report = answer(capsys, "verify", models / f"{dtype}.edgebn", "--board", board, "--samples", 2)
    assert (report["samples"], report["mismatches"], report["first_difference"]) == (2, 0, None)
    assert report["board"] == board
    assert report["layers_compared"] == len(edgebn.load(models / f"{dtype}.edgebn").steps)
    assert report["flash"] > 1000
    assert report["ram"] > report["arena"] > 1000
    if board != "host":
        assert report["instructions"] > 100_000
        within = sum(layer["instructions"] for layer in report["layers"])
        assert abs(within - report["instructions"]) < 0.01 * report["instructions"]


@pytest.mark.parametrize("dtype", ["int8", "float32", "mixed"])
def test_networks_with_several_outputs_are_verified(dtype, tmp_path, capsys):
    emitted.board_or_skip("host")
    found = [program for program, _ in drawn(programs(dtype), 60) if len(program.outputs) > 1]
    for number, program in enumerate(found[: 10 if TEST_ALL else 2]):
        edgebn.save(program, tmp_path / f"{number}.edgebn")
        report = answer(capsys, "verify", tmp_path / f"{number}.edgebn", "--board", "host", "--samples", 2)
        assert (report["samples"], report["mismatches"]) == (2, 0)
    assert len(found) > 1


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_network_with_several_inputs_is_verified_and_run(dtype, tmp_path, capsys):
    emitted.board_or_skip("mps2-an386")
    graph = GraphBuilder("two", "two", "test")
    left, right = graph.add_input("left", (4, 5, 3)), graph.add_input("right", (4, 5, 3))
    program = passes.lower(graph.finish([graph.add(layers.Add("sum", (left, right), "sum"))]))
    draw = np.random.default_rng(1)
    inputs = {name: draw.normal(0, 1, (6, 4, 5, 3)).astype(np.float32) for name in ("left", "right")}
    program = edgebn.quantize(program, inputs) if dtype == "int8" else program
    edgebn.save(program, tmp_path / "two.edgebn")
    np.savez(tmp_path / "inputs.npz", **inputs)
    model, data, out = tmp_path / "two.edgebn", tmp_path / "inputs.npz", tmp_path / "out.npy"
    assert answer(capsys, "verify", model, data, "--board", "mps2-an386")["mismatches"] == 0
    assert answer(capsys, "run", model, data, "--board", "mps2-an386", "-o", out)["samples"] == 6
    np.testing.assert_array_equal(np.load(out), edgebn.Session(program).run(inputs))


def test_verify_names_the_first_layer_that_differs(models, monkeypatch, capsys):
    emitted.board_or_skip("host")
    emit = target.codegen.emit

    def emit_with_a_wrong_weight(program, *arguments, **options):
        project = emit(program, *arguments, **options)
        path = project.folder / f"{project.name}_params.c"
        text = path.read_text()
        first = list(re.finditer(r"_weights\[\d+\] = \{\s*(?:\w+\()?(-?\d+)", text))[1]  # weight of the second layer
        path.write_text(text[: first.start(1)] + "77" + text[first.end(1) :])
        return project

    monkeypatch.setattr(target.codegen, "emit", emit_with_a_wrong_weight)
    report = answer(capsys, "verify", models / "int8.edgebn", models / "images.npy", "--board", "host", status=1)
    assert report["samples"] == 3
    assert report["mismatches"] >= 2
    first, steps = report["first_difference"], edgebn.load(models / "int8.edgebn").steps
    assert (first["layer"], first["step"]) == (steps[1].name, 1)
    assert first["device"] != first["reference"]
    assert main(["device", "verify", str(models / "int8.edgebn"), "--board", "host", "--samples", "1"]) == 1
    printed = capsys.readouterr()
    assert steps[1].name in printed.out
    assert "differ from the reference" in printed.err


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_run_gives_what_a_session_gives(models, dtype, tmp_path, capsys):
    emitted.board_or_skip("mps2-an386")
    model = models / f"{dtype}.edgebn"
    out = tmp_path / "out.npy"
    report = answer(capsys, "run", model, models / "images.npy", "--board", "mps2-an386", "-o", out)
    session = edgebn.Session(edgebn.load(model))
    expected = session.run(np.load(models / "images.npy"))
    if dtype == "int8":
        np.testing.assert_array_equal(np.load(out), expected)
    else:
        np.testing.assert_allclose(np.load(out), expected, atol=1e-5)
    assert report["samples"] == 3
    assert [row[0]["class"] for row in report["top"]] == list(expected.argmax(1))


@pytest.mark.parametrize("board", ["mps2-an386", "netduinoplus2"] if TEST_ALL else ["mps2-an386"])
@pytest.mark.parametrize("action", ["run", "bench", "verify"])
def test_an_emulators_clock_is_never_shown_as_time(action, board, models, capsys):
    emitted.board_or_skip(board)
    given = {"run": [models / "images.npy"], "bench": ["--runs", "1"], "verify": ["--samples", "1"]}[action]
    call = [action, models / "int8.edgebn", *given, "--board", board]
    report = answer(capsys, *call)
    assert report["milliseconds"] is None
    assert main(["device", *map(str, call)]) == 0
    said = capsys.readouterr().out
    assert " ms" not in said
    assert ("instructions" in said) == (report["instructions"] is not None)
    assert ("no measure of time" in said) == (report["instructions"] is None)


def test_bench_counts_instructions_and_layers(models, capsys):
    emitted.board_or_skip("mps2-an386")
    report = answer(capsys, "bench", models / "int8.edgebn", "--board", "mps2-an386", "--runs", 2)
    assert report["ticks"]["minimum"] <= report["ticks"]["median"] <= report["ticks"]["maximum"]
    assert report["instructions"] == round(report["ticks"]["median"] / 1.6)
    assert [layer["name"] for layer in report["layers"]] == [step.name for step in edgebn.load(models / "int8.edgebn").steps]


@pytest.fixture
def port(models, tmp_path):
    """A device at the end of a port, as a user would have connected it."""
    board = emitted.board_or_skip("host")
    elf = target.build(edgebn.load(models / "int8.edgebn"), board, tmp_path)
    with emulator.start(board, elf) as running:
        yield running.url


def test_a_port_is_verified_too(models, port, capsys):
    report = answer(capsys, "verify", models / "int8.edgebn", "--port", port, "--samples", 1)
    assert (report["mismatches"], report["board"], report["flash"]) == (0, "host", None)


def test_info_needs_no_model_for_a_port(port, capsys):
    report = answer(capsys, "info", "--port", port)
    assert (report["model"], report["board"], report["input_bytes"]) == ("fashion_mnist", "host", 784)


def test_reset(port, capsys):
    assert answer(capsys, "reset", "--port", port)["board"] == "host"


def test_another_model_than_the_devices_is_an_error(models, port, capsys):
    report = answer(capsys, "verify", models / "float32.edgebn", "--port", port, status=1)
    assert "runs another model (fashion_mnist, " in report["error"]
    assert "write its firmware again" in report["error"]


def test_an_emulated_board_needs_a_model(capsys):
    assert "give the model too" in answer(capsys, "info", "--board", "mps2-an386", status=1)["error"]


def test_an_unknown_board_is_an_error(models, capsys):
    report = answer(capsys, "verify", models / "int8.edgebn", "--board", "mps2-an38", status=1)
    assert "did you mean mps2-an38" in report["error"]


def test_a_real_board_is_not_emulated(models, capsys):
    report = answer(capsys, "verify", models / "int8.edgebn", "--board", "rpi-pico", status=1)
    assert report["error"] == "rpi-pico is a real board without an emulator; connect it and use --port"


def test_port_or_board_must_be_named(models, capsys):
    assert main(["device", "verify", str(models / "int8.edgebn")]) == 2
    assert main(["device", "verify", str(models / "int8.edgebn"), "--port", "x", "--board", "host"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_a_program_that_faults_is_an_error_with_the_emulators_last_words(models, tmp_path):
    board = emitted.board_or_skip("mps2-an386")
    source = tmp_path / "fault.c"
    source.write_text('int main(void);\nint main(void) {\n    __asm volatile("udf #0");\n    return 0;\n}\n')
    elf = toolchain.build(board, [source], tmp_path / "build")
    with emulator.start(board, elf) as running:
        with pytest.raises(LinkError, match="the serial line has failed"), target.connect(running.url, booting=True):
            pass
        running.process.wait()
        assert "status 70" in running.complaint()


@pytest.mark.parametrize(
    ("value", "expected", "differs"),
    [
        ([1.0, -np.inf], [1.0, -np.inf], 0),
        ([1.0, np.nan], [1.0, np.nan], 0),
        ([1.0, 2.0], [1.0 + 1e-9, -np.inf], 1),
        ([np.inf, -np.inf], [-np.inf, 2.0], 2),
        ([1.0, 2.1], [1.0, 2.0], 1),
        ([np.nan, 1e3], [1.0, 1e3], 1),
    ],
)
def test_infinities_and_nan_are_compared_too(value, expected, differs):
    """A pool that sees nothing but padding gives minus infinity, in C as in Python."""
    found = verify.compared(np.array(value, np.float32), np.array(expected, np.float32), 0, "pool", 0, "a pool")
    assert (found.values if found else 0) == differs
