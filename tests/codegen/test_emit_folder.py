"""The folder that `generate` writes into: work that people did there is never lost, and every file says what it is and may be."""

import json

import pytest

import codegen
import edgebn
from codegen.emit import emit
from codegen.files import MANIFEST
from edgebn import __version__
from edgebn.cli.main import main
from edgebn.errors import ModelError
from tests.codegen.test_emit_names import convolution

BOARD, OTHER = "nucleo-f446re", "nucleo-h743zi"
OWN_FILES = ("board/storage_none.c", "board/clocks_nucleo_f446re.c", "board/board_config.h")  # docs/boards.md says: edit them


@pytest.fixture(scope="module")
def model():
    return convolution()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("file", OWN_FILES)
def test_what_people_fill_in_is_written_once(file, model, tmp_path):
    codegen.emit(model, tmp_path, BOARD)
    (tmp_path / file).write_text("mine")
    for _ in range(2):
        project = codegen.emit(model, tmp_path, BOARD, main="link")
        assert (tmp_path / file).read_text() == "mine"
        assert project.kept == (file,)


@pytest.mark.parametrize("file", ["board/board_config.h", "board/storage_none.c"])
def test_what_was_filled_in_for_another_board_is_no_use_and_not_lost(file, model, tmp_path):
    codegen.emit(model, tmp_path, BOARD)
    (tmp_path / file).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(ModelError, match=f"{file} was edited since edgebn wrote it and would be overwritten; move or delete"):
        codegen.emit(model, tmp_path, OTHER)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("file", ["net.c", "Makefile", "README.md", "board/startup_cortex_m.c", "board/linker.ld"])
def test_other_edited_files_are_not_written_over(file, model, tmp_path):
    codegen.emit(model, tmp_path, BOARD, name="net")
    with (tmp_path / file).open("a") as text:
        text.write("\nmine\n")
    before = contents(tmp_path)
    with pytest.raises(ModelError, match=f"{file} was edited"):
        codegen.emit(model, tmp_path, BOARD, name="net")
    assert contents(tmp_path) == before
    (tmp_path / file).unlink()
    codegen.emit(model, tmp_path, BOARD, name="net")
    assert "mine" not in (tmp_path / file).read_text()


def test_an_edited_file_that_is_no_longer_made_stays(model, tmp_path):
    codegen.emit(model, tmp_path, BOARD)
    (tmp_path / "self_test.c").write_text("mine")
    project = codegen.emit(model, tmp_path, BOARD, main="link")
    assert (tmp_path / "self_test.c").read_text() == "mine"
    assert "self_test.c" not in project.files
    with pytest.raises(ModelError, match=r"self_test\.c was not written by edgebn"):
        codegen.emit(model, tmp_path, BOARD)


def test_other_ends_of_lines_are_no_edits(model, tmp_path):
    project = codegen.emit(model, tmp_path, BOARD)
    for file in project.files:
        (tmp_path / file).write_bytes((tmp_path / file).read_bytes().replace(b"\n", b"\r\n"))
    assert codegen.emit(model, tmp_path, BOARD, main="link").kept == ()


def test_the_command_says_what_it_left(model, tmp_path, capsys):
    edgebn.save(model, tmp_path / "net.edgebn")
    call = ["generate", str(tmp_path / "net.edgebn"), "-o", str(tmp_path / "out"), "--board", BOARD]
    assert main(call) == 0
    (tmp_path / "out/board/storage_none.c").write_text("mine")
    assert main(call) == 0
    assert "board/storage_none.c: left as you edited it" in capsys.readouterr().out
    (tmp_path / "out/Makefile").write_text("mine")
    assert main(call) == 1
    assert "Makefile was edited since edgebn wrote it" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{}, {"main": "link"}, {"main": "mlperf"}, {"board": "esp32-c3"}, {"params_only": True}])
def test_every_file_has_its_licence_and_the_version_that_made_it(options, model, tmp_path):
    project = emit(model, tmp_path, **options)
    for file in project.files:
        text = (tmp_path / file).read_text()
        if file == MANIFEST:
            assert (json.loads(text)["license"], json.loads(text)["edgebn"]) == ("MIT", __version__)
        else:
            head = text.splitlines()[:2]
            assert "SPDX-License-Identifier: MIT" in head[0], file
            assert f"Made by edgebn {__version__}" in head[1], file
