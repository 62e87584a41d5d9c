"""Emitted projects: what is in them, how they are written, and that their self-tests find every byte and miss none."""

import subprocess

import numpy as np
import pytest

import codegen
import edgebn
from codegen.files import MANIFEST
from edgebn import layers, passes
from edgebn.cli.main import main
from edgebn.errors import BoardError, ModelError
from edgebn.graph import GraphBuilder
from tests import emitted


@pytest.fixture(scope="session")
def kws(shared_models):
    return edgebn.load(shared_models / "kws_int8.tflite")


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
@pytest.mark.parametrize("model", ["kws_int8.tflite", "resnet8_int8.tflite", "ad01_int8.tflite"])
def test_every_layer_of_the_benchmark_networks_is_the_references(model, board, shared_models, tmp_path):
    emitted.check(edgebn.load(shared_models / model), tmp_path / "out", board)


def test_a_wrong_weight_is_found(kws, tmp_path):
    """The self-test itself: with one weight changed it must name the step and end with a status."""
    board = emitted.board_or_skip("host")
    project = codegen.emit(kws, tmp_path)
    parameters = tmp_path / f"{project.name}_params.c"
    text = parameters.read_text()
    first = text.index("{\n") + 2
    parameters.write_text(text[:first] + text[first:].replace("-", "", 1))
    said = emitted.outcome(board, emitted.build(project, board, trace=True))
    assert said.status != 0
    assert said.differ
    assert said.text.startswith("step ")


def test_the_makefile_and_cmake_build_what_they_say(kws, tmp_path):
    project = codegen.emit(kws, tmp_path)
    board = emitted.board_or_skip("host")
    for commands in ([["make", "-s"]], [["cmake", "-B", "build", "."], ["cmake", "--build", "build"]]):
        for command in commands:
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        assert emitted.outcome(board, tmp_path / "build" / "self_test.elf").status == 0
        subprocess.run(["rm", "-rf", str(tmp_path / "build")], check=True)
    assert "README.md" in project.files


def test_other_names_reach_every_file(kws, tmp_path):
    board = emitted.board_or_skip("host")
    project = codegen.emit(kws, tmp_path, name="ears", prefix="acme", section=".text_of_ours")
    assert {"ears.c", "ears.h", "ears_params.c", "kernels/acme_conv_s8.h"} <= set(project.files)
    for file in project.files:
        text = (tmp_path / file).read_text()
        assert "edgebn_conv" not in text
        assert "EDGEBN_" not in text
    elf = emitted.build(project, board, trace=False)
    assert emitted.outcome(board, elf).status == 0
    found = subprocess.run(["objdump", "-h", str(elf)], capture_output=True, text=True, check=True)
    assert ".text_of_ours" in found.stdout


def test_only_used_kernels_are_written(shared_models, tmp_path):
    project = codegen.emit(edgebn.load(shared_models / "ad01_int8.tflite"), tmp_path)
    kernels = {file for file in project.files if file.startswith("kernels/")}
    assert "kernels/edgebn_dense_s8.h" in kernels
    assert not any(word in file for file in kernels for word in ("depthwise", "pool", "softmax", "f32"))


def test_samples_become_vectors(kws, tmp_path):
    samples = emitted.draw_codes(kws, 3)
    assert emitted.check(kws, tmp_path / "out", "host", samples)[1].vectors == 3


def test_samples_of_another_size_or_type_are_refused(kws, tmp_path):
    for samples in (np.zeros((2, 7), np.int8), np.zeros((2, 490), np.float32), np.zeros((0, 490), np.int8)):
        with pytest.raises(ModelError, match="samples for the self-test"):
            codegen.emit(kws, tmp_path / "out", samples=samples)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["int", "2nd", "a b", "Loud", "input"])
def test_names_that_c_cannot_take_are_refused(name, kws, tmp_path):
    with pytest.raises(ModelError, match="C identifier"):
        codegen.emit(kws, tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_an_axis_beyond_16_bits_is_refused(tmp_path):
    """Sessions pick from it; the tables of indices that C has do not reach so far."""
    builder = GraphBuilder("long", "long.test", "test")
    builder.add_input("x", (70_000,))
    program = passes.lower(builder.finish([builder.add(layers.Gather("turned", ("x",), "y", (np.arange(70_000)[::-1].copy(),)))]))
    x = np.arange(70_000, dtype=np.float32)[np.newaxis]
    np.testing.assert_array_equal(edgebn.Session(program).run(x), x[:, ::-1])
    with pytest.raises(ModelError, match="layer 'turned' picks from an axis of 70000"):
        codegen.emit(program, tmp_path / "c")


def test_an_unknown_board_is_refused(kws, tmp_path):
    with pytest.raises(BoardError, match="mps2-an386"):
        codegen.emit(kws, tmp_path / "out", board="mps2-an38")
    assert not (tmp_path / "out").exists()


def test_files_of_other_origin_stay_and_are_never_overwritten(kws, shared_models, tmp_path):
    (tmp_path / "main.c").write_text("mine")
    first = codegen.emit(kws, tmp_path)
    second = codegen.emit(edgebn.load(shared_models / "ad01_int8.tflite"), tmp_path)
    assert (tmp_path / "main.c").read_text() == "mine"
    gone = set(first.files) - set(second.files)
    assert gone
    assert not any((tmp_path / file).exists() for file in gone)
    (tmp_path / MANIFEST).unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ModelError, match="not written by edgebn"):
        codegen.emit(kws, tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_manifest_cannot_reach_outside(kws, tmp_path):
    outside = tmp_path / "precious"
    outside.write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / MANIFEST).write_text('{"files": {"../precious": "0", "/etc/passwd": "0", "x": 3}}')
    codegen.emit(kws, folder)
    assert outside.read_text() == "mine"


def test_the_command_writes_the_same(shared_models, tmp_path, capsys):
    model = str(shared_models / "ad01_int8.tflite")
    assert main(["generate", model, "-o", str(tmp_path / "a"), "--json"]) == 0
    assert '"arena_bytes": 768' in capsys.readouterr().out
    project = codegen.emit(edgebn.load(model), tmp_path / "b")
    for file in project.files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
