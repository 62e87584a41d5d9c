"""The `edgebn` command, verb by verb, in this process; once as `python -m edgebn`."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgebn
from edgebn.cli import demo, run
from edgebn.cli.main import VERBS, main
from edgebn.cli.screen import Screen
from tests.conftest import TEST_ALL

pytest.importorskip("h5py", reason="h5py is not installed: the demo's model is a Keras file")

MODEL, SLICE = str(demo.MODEL), str(demo.SLICE)
PIXELS = ("--key", "images", "--scale", "1/255")


@pytest.fixture(scope="module")
def int8_model(tmp_path_factory):
    """The demo's network in int8, quantised by the command."""
    path = tmp_path_factory.mktemp("models") / "int8.edgebn"
    calibration = ("--calibration", SLICE, "--key", "calibration", "--scale", "1/255", "--limit", "50")
    assert main(["quantize", MODEL, "-o", str(path), *calibration]) == 0
    return path


def run_json(capsys, *arguments):
    """Run a verb with --json and return its object."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal(capsys, *arguments):
    """Run a verb that fails and return its one line."""
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("edgebn: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_python_m_edgebn_is_the_command():
    found = subprocess.run([sys.executable, "-m", "edgebn", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"edgebn {edgebn.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["run", MODEL],
        ["quantize", MODEL],
        ["bench", MODEL, "--runs", "many"],
        ["analyze", MODEL, "--input-shape", "3,a"],
        ["analyze", MODEL, "--input-shape", "3,0"],
        ["analyze", MODEL, "--custom-layer", "BNLayer"],
        ["run", MODEL, SLICE, "--scale", "1/0"],
        ["run", MODEL, SLICE, "--scale", "nan"],
        ["run", MODEL, SLICE, "--limit", "0"],
    ],
)
def test_wrong_usage_is_code_2(arguments, capsys):
    assert main(arguments) == 2
    assert "usage: edgebn" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_takes_json(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_analyze_shows_layers_and_totals(capsys):
    assert main(["analyze", MODEL]) == 0
    shown = capsys.readouterr().out
    assert "conv_2" in shown
    assert "422,538 parameters" in shown
    report = run_json(capsys, "analyze", MODEL)
    assert report["parameters"] == 422_538
    assert report["batch_norms"].keys() == {"bn_1", "bn_2", "bn_3"}
    assert report["arena_bytes"] <= 1.02 * report["arena_lower_bound"]
    assert {row["name"] for row in report["rows"]} >= {"conv_1", "bn_1", "pool_1", "flatten"}


def test_convert_keeps_the_outputs_to_the_bit(tmp_path, capsys):
    path = tmp_path / "model.edgebn"
    report = run_json(capsys, "convert", MODEL, "-o", path)
    assert report["file_bytes"] == path.stat().st_size
    images = np.load(SLICE)["images"][:3] / np.float32(255)
    before, after = (edgebn.Session(edgebn.load(file)).run(images) for file in (MODEL, path))
    np.testing.assert_array_equal(before, after)


def test_quantize_shows_the_worst_layer_first(tmp_path, capsys):
    arguments = ("--calibration", SLICE, "--key", "calibration", "--scale", "1/255", "--limit", "20", "--method", "minmax")
    report = run_json(capsys, "quantize", MODEL, "-o", tmp_path / "int8.edgebn", *arguments)
    assert report["calibration_samples"] == 20
    ratios = [row["sqnr"] for row in report["layers"]]
    assert ratios == sorted(ratios)
    assert edgebn.load(report["output"]).dtype == "int8"


def test_quantize_needs_no_data_where_a_batch_norm_tells_the_input(shared_models, tmp_path, capsys):
    report = run_json(capsys, "quantize", shared_models / "kws.keras", "-o", tmp_path / "int8.edgebn")
    assert (report["method"], report["layers"]) == ("batch norm", [])


def test_quantize_without_data_says_why_it_needs_some(tmp_path, capsys):
    assert "give calibration data" in refusal(capsys, "quantize", MODEL, "-o", tmp_path / "int8.edgebn")
    assert not (tmp_path / "int8.edgebn").exists()


def test_quantize_refuses_what_is_int8_already(int8_model, tmp_path, capsys):
    assert "int8 already" in refusal(capsys, "quantize", int8_model, "-o", tmp_path / "twice.edgebn")


def test_run_gives_what_a_session_gives(tmp_path, capsys):
    out = tmp_path / "out.npy"
    report = run_json(capsys, "run", MODEL, SLICE, *PIXELS, "--limit", 4, "--top", 2, "-o", out)
    images = np.load(SLICE)["images"][:4] / np.float32(255)
    expected = edgebn.Session(edgebn.load(MODEL)).run(images)
    np.testing.assert_allclose(np.load(out), expected, atol=1e-6)
    assert [row[0]["class"] for row in report["top"]] == expected.argmax(axis=1).tolist()
    assert [len(row) for row in report["top"]] == [2, 2, 2, 2]


def test_run_takes_raw_codes(int8_model, tmp_path, capsys):
    np.save(tmp_path / "codes.npy", np.full((1, 28, 28, 1), 5, np.int8))
    report = run_json(capsys, "run", int8_model, tmp_path / "codes.npy")
    assert [values["dtype"] for values in report["outputs"].values()] == ["int8"]
    assert "int8 codes" in refusal(capsys, "run", MODEL, tmp_path / "codes.npy")


def test_run_shows_a_table_to_people(capsys):
    assert main(["run", MODEL, SLICE, *PIXELS, "--limit", "12", "--top", "3"]) == 0
    shown = capsys.readouterr().out
    assert "3." in shown
    assert "and 2 more samples" in shown


def test_evaluate_compares_two_models(int8_model, capsys):
    report = run_json(capsys, "evaluate", int8_model, SLICE, *PIXELS, "--labels", "labels", "--limit", 300, "--compare", MODEL)
    assert report["samples"] == 300
    assert [result["dtype"] for result in report["results"]] == ["int8", "float32"]
    assert all(result["accuracy"] > 0.9 for result in report["results"])
    assert report["agreement"] > 0.97


def test_evaluate_refuses_labels_that_do_not_fit(tmp_path, capsys):
    np.save(tmp_path / "few.npy", np.zeros(3, np.int64))
    assert "3 labels" in refusal(capsys, "evaluate", MODEL, SLICE, *PIXELS, "--labels", tmp_path / "few.npy", "--limit", "5")
    np.save(tmp_path / "high.npy", np.full(1000, 10))
    assert "classes 0 to 9" in refusal(capsys, "evaluate", MODEL, SLICE, *PIXELS, "--labels", tmp_path / "high.npy", "--limit", "5")
    assert "should be (N,)" in refusal(capsys, "evaluate", MODEL, SLICE, *PIXELS, "--labels", "calibration")
    assert "no array 'truth'" in refusal(capsys, "evaluate", MODEL, SLICE, *PIXELS, "--labels", "truth")


def test_bench_times_both_types(int8_model, capsys):
    for model in (MODEL, int8_model):
        report = run_json(capsys, "bench", model, "--runs", 5, "--threads", 2, "--no-winograd")
        assert (report["threads"], report["winograd"]) == (2, False)
        assert report["runs"] == 5
        assert 0 < report["minimum_ms"] <= report["median_ms"]
        assert report["arena_bytes"] <= 1.02 * report["arena_lower_bound"]


def test_warmup_says_where_kernels_are_kept(capsys):
    report = run_json(capsys, "warmup")
    assert report["seconds"].keys() == {"float32", "int16", "int8", "mixed"}
    if report["object"] is not None:
        assert Path(report["object"]).suffix == ".so"
        assert report["cache"] is None
    else:
        assert report["cache"] is None or Path(report["cache"]).is_dir()


def test_demo_runs_every_stage(capsys, monkeypatch):
    if not TEST_ALL:
        monkeypatch.setattr(demo, "ON_BOARD", 30)  # images that an emulated board learns from; `make demo` takes all
    report = run_json(capsys, "demo")
    assert report.keys() == {*(name for name, _, _ in demo.STAGES), "seconds"}
    assert report["accuracy"]["accuracy"]["float32"] == pytest.approx(0.936, abs=0.0005)  # as Keras measured it
    assert abs(report["accuracy"]["accuracy"]["int8"] - report["accuracy"]["accuracy"]["float32"]) <= 0.003
    assert report["quantization"]["layers"]
    if "skipped" not in report["board"]:
        assert report["board"]["equal"] == report["board"]["images"] == 20
        assert report["board"]["mismatches"] == 0


@pytest.mark.parametrize("tool", ["arm-none-eabi-gcc", "qemu-system-arm"])
def test_the_demos_board_is_skipped_with_one_line_where_a_tool_is_missing(tool, monkeypatch, capsys):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *rest: None if name == tool else which(name, *rest) or f"/usr/bin/{name}")
    bench = demo.open_bench(Screen(as_json=False))
    assert tool in demo.on_a_board(bench)["skipped"]
    said = capsys.readouterr().out
    assert said.startswith(f"skipped: {tool} is not installed; on Debian or Ubuntu it is in ")
    assert said.count("\n") == 1


def test_commands_that_the_demo_suggests_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in demo.next_commands():
        program, *arguments = shlex.split(command)
        assert program == "edgebn"
        assert main(arguments) == 0, command


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.keras", None),
        ("empty.keras", b""),
        ("noise.h5", b"noise" * 100),
        ("noise.edgebn", b"\xff" * 100),
        ("noise.xyz", b"?"),
    ],
)
def test_bad_model_files_are_refused_in_one_line(tmp_path, capsys, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert name in refusal(capsys, "analyze", tmp_path / name)


def test_a_failure_with_json_is_json_too(tmp_path, capsys):
    assert main(["analyze", str(tmp_path / "missing.h5"), "--json"]) == 1
    captured = capsys.readouterr()
    assert "missing.h5" in json.loads(captured.out)["error"]
    assert captured.err.startswith("edgebn: ")


def test_unwritable_outputs_are_refused_in_one_line(tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    assert "nowhere" in refusal(capsys, "convert", MODEL, "-o", nowhere / "model.edgebn")
    assert "nowhere" in refusal(capsys, "run", MODEL, SLICE, *PIXELS, "--limit", "1", "-o", nowhere / "out.npy")
    assert "a.npy: no such file" in refusal(capsys, "run", MODEL, tmp_path / "a.npy")
    assert "is a folder" in refusal(capsys, "run", MODEL, tmp_path)


def test_plain_tables_are_aligned(capsys):
    Screen(as_json=False).table("title", ("name", "bytes"), [("a", 1), ("bcd", 12345)])
    assert capsys.readouterr().out == "title\nname   bytes\n----  ------\na          1\nbcd   12,345\n\n"


def test_rich_tables_keep_every_number_whole(capsys, monkeypatch):
    pytest.importorskip("rich", reason="rich is not installed")
    monkeypatch.setenv("COLUMNS", "30")
    screen = Screen(as_json=False)
    screen._rich_tables = True  # as on a terminal
    screen.table("title", ("a name that is long", "bytes"), [("[bold]some words that will be broken", 123456789)])
    shown = capsys.readouterr().out
    assert "123,456,789" in shown
    assert "[bold]" in shown


def test_a_reader_of_our_output_may_leave(tmp_path):
    command = f"{shlex.quote(sys.executable)} -m edgebn analyze {shlex.quote(MODEL)} | true"
    found = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert found.stderr == ""


@pytest.mark.parametrize(("name", "says"), [("missing/out.npy", "make it first"), (".", "is a folder")])
def test_a_file_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys, name, says):
    assert says in refusal(capsys, "run", MODEL, SLICE, *PIXELS, "-o", tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_outputs_that_fit_no_npy_leave_the_old_file(tmp_path):
    old = tmp_path / "out.npy"
    old.write_bytes(b"old")
    with pytest.raises(edgebn.ModelError, match="2 outputs"):
        run.write(old, {"a": np.zeros(1), "b": np.zeros(1)})
    run.write(tmp_path / "out.npz", {"a": np.zeros(1), "b": np.ones(2)})
    assert old.read_bytes() == b"old"
    assert [np.load(tmp_path / "out.npz")[name].tolist() for name in "ab"] == [[0.0], [1.0, 1.0]]


def test_a_file_that_is_read_is_not_written_over(tmp_path, capsys):
    model = tmp_path / "model.keras"
    shutil.copy(MODEL, model)
    before = model.read_bytes()
    assert "would be lost" in refusal(capsys, "convert", model, "-o", model)
    assert "would be lost" in refusal(capsys, "run", model, SLICE, *PIXELS, "-o", tmp_path / "." / "model.keras")
    assert model.read_bytes() == before


def test_limit_does_not_pair_labels_with_other_samples(tmp_path, capsys, int8_model):
    other = ("--key", "calibration", "--scale", "1/255", "--labels", "labels", "--limit", "100")
    assert "300 samples but 1000 labels" in refusal(capsys, "evaluate", int8_model, SLICE, *other)
    found = run_json(capsys, "evaluate", int8_model, SLICE, *PIXELS, "--labels", "labels", "--limit", "50")
    assert found["samples"] == 50
    assert found["results"][0]["accuracy"] > 0.8


def test_rows_that_are_not_one_hot_are_no_labels(tmp_path, capsys):
    np.save(tmp_path / "soft.npy", np.full((1000, 10), 0.1))
    assert "one-hot" in refusal(capsys, "evaluate", MODEL, SLICE, *PIXELS, "--labels", tmp_path / "soft.npy")


def test_names_of_other_formats_are_not_given_to_edgebn_files(tmp_path, capsys):
    assert "name it .edgebn" in refusal(capsys, "convert", MODEL, "-o", tmp_path / "m.tflite")
    with pytest.raises(edgebn.ModelError, match="takes a program"):
        edgebn.save("model", tmp_path / "m.edgebn")
    assert not list(tmp_path.iterdir())


def test_the_scale_is_kept_and_applied(int8_model, tmp_path, capsys):
    told = run_json(capsys, "evaluate", int8_model, SLICE, "--key", "images", "--labels", "labels", "--scale", "1/255")
    kept = run_json(capsys, "evaluate", int8_model, SLICE, "--key", "images", "--labels", "labels", "--compare", MODEL)
    assert kept["results"][0] == told["results"][0]
    assert kept["results"][1]["accuracy"] > 0.9  # the other model is fed as this one
    assert "warnings" not in kept
    assert list(run_json(capsys, "analyze", int8_model)["input_scaling"].values()) == ["--scale 1/255"]
    converted = tmp_path / "float.edgebn"
    assert main(["convert", MODEL, "-o", str(converted), "--scale", "1/255"]) == 0
    found = run_json(capsys, "evaluate", converted, SLICE, "--key", "images", "--labels", "labels")
    assert found["results"][0]["accuracy"] > 0.9
    again = tmp_path / "again.edgebn"
    assert (
        main(["quantize", str(converted), "-o", str(again), "--calibration", SLICE, "--key", "calibration", "--limit", "20"]) == 0
    )
    assert run_json(capsys, "evaluate", again, SLICE, "--key", "images", "--labels", "labels")["results"][0]["accuracy"] > 0.9


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_inputs_of_a_wrong_scale_are_warned_of(kind, int8_model, capsys):
    model = (int8_model, "--scale", "1") if kind == "int8" else (MODEL,)
    capsys.readouterr()
    assert main(["evaluate", *map(str, model), SLICE, "--key", "images", "--labels", "labels", "--json"]) == 0
    captured = capsys.readouterr()
    said = json.loads(captured.out)["warnings"]
    assert any("--scale 1/255" in text and SLICE in text for text in said)
    assert captured.err.count("edgebn: warning: ") == len(said) == (2 if kind == "int8" else 1)


def test_quantize_warns_of_a_wrong_scale_once(tmp_path, capsys):
    capsys.readouterr()
    calibration = ("--calibration", SLICE, "--key", "calibration", "--limit", "20")
    assert main(["quantize", MODEL, "-o", str(tmp_path / "poor.edgebn"), *calibration]) == 0
    assert capsys.readouterr().err.count("edgebn: warning: ") == 1
