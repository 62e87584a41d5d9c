"""What memory a network takes of a board: one number, whoever is asked, and what the linked program has."""

import json

import pytest

import boards
import codegen
import edgebn
from codegen.footprint import measure
from edgebn.cli.main import main
from tests import emitted


def answer(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", ["kws_int8.tflite", "resnet8_int8.tflite", "kws.h5"])
def test_analyze_and_generate_say_the_same(model, shared_models, tmp_path, capsys):
    asked = answer(capsys, "analyze", shared_models / model)
    for_board = answer(capsys, "analyze", shared_models / model, "--board", "nucleo-f446re")
    made = answer(capsys, "generate", shared_models / model, "-o", tmp_path, "--board", "nucleo-f446re")
    for told in (asked, for_board):
        assert [told[key] for key in ("arena_bytes", "arena_lower_bound")] == [made["arena_bytes"], made["arena_lower_bound"]]
    board = boards.load("nucleo-f446re")
    assert for_board["fits"]
    assert for_board["flash_bytes"] == made["flash_bytes"] == board.flash.size - for_board["flash_left"]
    assert for_board["ram_left"] == board.ram.size - board.stack - made["arena_bytes"]


def test_analyze_says_what_does_not_fit(shared_models, capsys):
    told = answer(capsys, "analyze", shared_models / "resnet8_int8.tflite", "--board", "microbit")
    assert (told["fits"], told["ram_left"]) == (False, -18576)
    assert "it needs 18,576 bytes more" in told["why_not"]
    assert main(["analyze", str(shared_models / "kws_int8.tflite"), "--board", "microbit"]) == 0
    assert "on microbit: 33,776 bytes of flash for constants" in capsys.readouterr().out
    assert main(["analyze", str(shared_models / "kws_int8.tflite"), "--board", "mikrobit"]) == 1


@pytest.mark.parametrize("policy", ["compensated-tracking", "compensated"])
def test_the_ram_of_adaptation_is_told_and_is_what_is_linked(policy, adapting_demo, tmp_path, capsys):
    board = emitted.board_or_skip("mps2-an386")
    edgebn.save(adapting_demo[0], tmp_path / "net.edgebn")
    call = ("generate", tmp_path / "net.edgebn", "-o", tmp_path / "out", "--board", board.name, "--adapt", "--policy", policy)
    told = answer(capsys, *call)
    assert told["ram_bytes"] == told["arena_bytes"] + told["adaptation_bytes"]
    project = codegen.emit(adapting_demo[0], tmp_path / "again", board.name, adapt=True, policy=policy)
    assert 0 <= measure(project, board).ram - told["ram_bytes"] <= 128  # a struct of pointers, and what alignment fills up
    assert main([str(word) for word in call]) == 0
    assert f"and {told['adaptation_bytes']:,} of adaptation" in capsys.readouterr().out
