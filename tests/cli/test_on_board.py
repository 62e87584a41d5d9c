"""`edgebn analyze --board` and `edgebn boards --model`: what a network takes of a board, and time with its method."""

import json
from types import SimpleNamespace

import pytest

import boards
import codegen
import edgebn
import edgebn.cli.boards
from boards import pace, toolchain
from codegen.footprint import measure
from edgebn.cli import on_board
from edgebn.cli.main import main
from edgebn.cli.screen import Screen
from tests import emitted
from tests.codegen.test_emit_names import convolution


def told(capsys, *words):
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def model(tmp_path):
    edgebn.save(convolution(), tmp_path / "net.edgebn")
    return tmp_path / "net.edgebn"


def test_a_board_is_told_what_its_compiler_and_an_emulator_measure(model, tmp_path, capsys):
    counter = emitted.board_or_skip("mps2-an386")
    found = told(capsys, "analyze", model, "--board", "nucleo-f446re")
    board = boards.load("nucleo-f446re")
    project = codegen.emit(edgebn.load(model), tmp_path / "project", board.name)
    taken = measure(project, board)
    assert (found["code_bytes"], found["stack_bytes"]) == (taken.code, taken.stack)
    assert found["stack_left"] == board.stack - taken.stack
    # The self-test counts on its own way: the two differ by the call of its clock and of a trace.
    counted = codegen.emit(edgebn.load(model), tmp_path / "counted", counter.name)
    said = emitted.outcome(counter, toolchain.build(counter, emitted.network_sources(counted), tmp_path / "built"))
    assert found["counted_on"] == counter.name
    assert found["instructions"] == pytest.approx(counter.timer.instructions(said.ticks), abs=120)
    assert sum(layer["instructions"] for layer in found["layers"]) == pytest.approx(found["instructions"], rel=0.1)
    assert found["cycles"] == pace.cycles("Cortex-M4F", found["instructions"]).typical
    assert found["milliseconds"] == pytest.approx(found["cycles"] / 180_000)
    assert found["milliseconds_low"] < found["milliseconds"] < found["milliseconds_high"]
    assert "published MLPerf Tiny" in found["method"]
    assert main(["analyze", str(model), "--board", "nucleo-f446re"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "at 180 MHz: 1.59 cycles an instruction" in text


def test_boards_are_compared_for_a_model(model, capsys, monkeypatch):
    for name in ("mps2-an386", "mps2-an385-m0"):
        emitted.board_or_skip(name)
    few = SimpleNamespace(names=lambda: ("host", "microbit", "nucleo-f446re", "rpi-pico"), load=boards.load)
    monkeypatch.setattr(edgebn.cli.boards, "rooms", few)
    found = {row["board"]: row for row in told(capsys, "boards", "--model", model)["boards"]}
    assert list(found) == ["microbit", "nucleo-f446re", "rpi-pico"]
    assert found["microbit"]["instructions"] == found["rpi-pico"]["instructions"] > found["nucleo-f446re"]["instructions"]
    pico = found["rpi-pico"]
    assert (pico["cycles"], pico["milliseconds"]) == (None, None)
    assert pico["milliseconds_at_least"] == pytest.approx(pico["instructions"] / 133_000)
    assert main(["boards", "--model", str(model)]) == 0
    assert "more than" in capsys.readouterr().out


def test_a_board_that_is_too_small_is_told_why(capsys, tmp_path):
    program = convolution(size=80)
    found = on_board.for_all(program, [boards.load("microbit")], Screen(as_json=True))[0]
    assert found["fits"] is False
    assert "does not fit microbit" in found["why_not"]
    assert "instructions" not in found


def test_without_a_compiler_it_says_so(model, capsys, monkeypatch):
    monkeypatch.setattr(toolchain, "has_compiler", lambda _board: False)
    found = told(capsys, "analyze", model, "--board", "nucleo-f446re")
    assert found["not_counted"] == "arm-none-eabi-gcc is not installed"
    assert "milliseconds" not in found
