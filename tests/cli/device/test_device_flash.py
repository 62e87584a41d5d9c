"""`edgebn device flash`: which tool is called with what, by stand-ins on PATH, and UF2 files read back field by field."""

import json
import struct
import sys

import pytest

import boards
from boards import uf2
from edgebn.cli.main import main

IMAGE = bytes(range(256)) * 2 + b"end"
PAGE = 256


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "kws.bin"
    path.write_bytes(IMAGE)
    return path


def stand_in(monkeypatch, folder, tool, status=0):
    """Put a program called `tool` on an otherwise empty PATH, which writes its arguments into a file."""
    programs = folder / "programs"
    programs.mkdir()
    said = folder / "arguments"
    program = programs / tool
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nopen({str(said)!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        f"print('no probe', file=sys.stderr)\nsys.exit({status})\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return said


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins begin with #!")
@pytest.mark.parametrize(
    ("board", "tool", "more", "expected"),
    [
        ("rpi-pico", "picotool", [], ["load", "-x", "UF2"]),
        ("esp32-c3", "esptool", ["--port", "/dev/p"], ["--chip", "esp32c3", "--port", "/dev/p", "write_flash", "0x0", "BIN"]),
        (
            "nucleo-f446re",
            "pyocd",
            [],
            ["load", "--target", "stm32f446retx", "--base-address", "0x8000000", "--format", "bin", "BIN"],
        ),
    ],
)
def test_each_tool_gets_its_arguments(monkeypatch, tmp_path, capsys, image, board, tool, more, expected):
    said = stand_in(monkeypatch, tmp_path, tool)
    assert main(["device", "flash", str(image), "--board", board, *more, "--json"]) == 0
    names = {"UF2": str(image.with_suffix(".uf2")), "BIN": str(image)}
    assert json.loads(said.read_text()) == [names.get(word, word) for word in expected]
    assert json.loads(capsys.readouterr().out)["bytes"] == len(IMAGE)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins begin with #!")
def test_a_tool_that_fails_is_an_error_with_its_last_words(monkeypatch, tmp_path, capsys, image):
    stand_in(monkeypatch, tmp_path, "pyocd", status=3)
    assert main(["device", "flash", str(image), "--board", "nucleo-f446re"]) == 1
    assert "pyocd failed with code 3: no probe" in capsys.readouterr().err


def test_refusals(monkeypatch, tmp_path, capsys, image):
    monkeypatch.setenv("PATH", str(tmp_path))
    for arguments, status, words in (
        (["--board", "rpi-pico"], 1, "picotool, which flashes rpi-pico, is not installed"),
        (["--board", "rpi-pico", "--port", "x"], 2, "--port does nothing"),
        (["--board", "mps2-an386"], 2, "is not flashed"),
    ):
        assert main(["device", "flash", str(image), *arguments]) == status
        assert words in " ".join(capsys.readouterr().err.split())
    image.write_bytes(b"\x7fELF")
    assert main(["device", "flash", str(image), "--board", "rpi-pico"]) == 1
    assert "no image" in capsys.readouterr().err


def test_uf2_blocks_are_as_the_specification_has_them():
    made = uf2.blocks(IMAGE, 0x10000000, 0xE48BFF59)
    assert len(made) == 3 * 512
    back = b""
    for i in range(3):
        block = made[512 * i : 512 * (i + 1)]
        assert block[:4] == b"UF2\n"
        assert block[4:8] == bytes([0x57, 0x51, 0x5D, 0x9E])
        assert block[508:] == bytes([0x30, 0x6F, 0xB1, 0x0A])
        assert struct.unpack("<6I", block[8:32]) == (0x2000, 0x10000000 + PAGE * i, PAGE, i, 3, 0xE48BFF59)
        back += block[32 : 32 + PAGE]
        assert not any(block[32 + PAGE : 508])
    assert back[: len(IMAGE)] == IMAGE
    assert not any(back[len(IMAGE) :])


def test_real_boards_alone_are_flashed():
    known = [boards.load(name) for name in boards.names()]
    ours = {board.name for board in known if board.kind == "real" and board.system is None}
    assert {board.name for board in known if board.flasher} == ours
    families = {board.name: board.flasher.family for board in known if board.flasher and board.flasher.family}
    assert families == {"rpi-pico": 0xE48BFF56, "rpi-pico2": 0xE48BFF59, "rpi-pico2-riscv": 0xE48BFF5A}
