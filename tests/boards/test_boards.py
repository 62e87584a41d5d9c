"""Boards: their folders, what is linked for them, that it lies in their true flash and RAM, and what is refused."""

import json
import os
import re
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import boards
import codegen
import edgebn
from boards import toolchain
from edgebn.cli.main import main
from edgebn.errors import BoardError, UsageError
from tests import emitted
from tests.codegen.test_codegen_kernels import drawn
from tests.conftest import TEST_ALL
from tests.programs import programs

EMULATED = [name for name in boards.names() if boards.load(name).kind == "emulated"]
REAL = [name for name in boards.names() if boards.load(name).kind == "real" and boards.load(name).system is None]
OF_ESP_IDF = ["esp32", "esp32-s3"]
ASKED_FOR = {
    "emulated": {"mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547", "microbit", "qemu-riscv32-virt"},
    "real": {
        *("nucleo-f446re", "nucleo-h743zi", "nucleo-h743zi2", "rpi-pico", "rpi-pico2", "rpi-pico2-riscv", "stm32f746-disco"),
        *("arduino-nano-33-ble", "esp32-c3"),
    },
}
BUILT = REAL if TEST_ALL else ["nucleo-f446re", "esp32-c3"]
XTENSA_HEADERS = Path("/usr/lib/xtensa-lx106-elf/include")
LOADED = 1  # segment type in an ELF file
WRITABLE = 2


@pytest.fixture(scope="module")
def network():
    return max((program for program, _ in drawn(programs("int8"), 12)), key=lambda program: len(program.steps))


def segments(elf):
    """Return the loaded segments of a 32-bit little-endian ELF file: (address, load address, file bytes, bytes, flags)."""
    data = elf.read_bytes()
    start, size, count = struct.unpack_from("<I", data, 28)[0], *struct.unpack_from("<HH", data, 42)
    found = []
    for i in range(count):
        kind, offset, address, load, file_size, bytes_, flags, _ = struct.unpack_from("<8I", data, start + i * size)
        if kind == LOADED:
            found.append((address, load, data[offset : offset + file_size], bytes_, flags))
    return found


def flash_image(board, elf):
    """Return what goes into flash, from its first byte on."""
    image = bytearray()
    for _, load, data, _, _ in sorted((s for s in segments(elf) if s[2]), key=lambda s: s[1]):
        at = load - board.flash_address
        image += bytes(max(0, at - len(image)))
        image[at : at + len(data)] = data
    return bytes(image)


@pytest.fixture(scope="module")
def linked(network, tmp_path_factory):
    """Return a function that gives the linked firmware of a real board."""
    made = {}

    def link(name):
        board = boards.load(name)
        if not toolchain.has_compiler(board):
            pytest.skip(f"{board.compiler} is not installed")
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            project = codegen.emit(network, folder / "project", board=name, main="link")
            include = [project.folder, project.folder / "kernels", project.folder / "service"]
            made[name] = toolchain.build(board, emitted.network_sources(project), folder, include=include, flags=["-DEDGEBN_TRACE"])
        return board, made[name]

    return link


def test_every_board_that_was_asked_for_is_there():
    assert ASKED_FOR["emulated"] <= set(EMULATED)
    assert set(REAL) == ASKED_FOR["real"]
    assert [name for name in boards.names() if boards.load(name).system is not None] == OF_ESP_IDF
    for name in boards.names():
        board = boards.load(name)
        assert board.note
        assert all(path.exists() for path in board.sources), name


@pytest.mark.parametrize("name", REAL)
def test_a_real_board_is_linked_into_its_flash_and_ram(name, linked):
    board, elf = linked(name)
    found = segments(elf)
    assert any(data for _, _, data, _, _ in found)
    for address, load, data, size, flags in found:
        region = board.ram if flags & WRITABLE else board.flash
        base = 0x3C000000 if name == "esp32-c3" and address < 0x40000000 and not flags & WRITABLE else region.origin
        if size:
            assert base <= address <= address + size <= base + region.size, (name, hex(address), size)
        if data:
            assert 0 <= load - board.flash_address <= load - board.flash_address + len(data) <= board.flash.size
    size = toolchain.size(board, elf)
    assert 0 < size.flash == len(flash_image(board, elf)) < board.flash.size
    assert board.stack < size.ram < board.ram.size


@pytest.mark.parametrize("name", [name for name in REAL if boards.load(name).startup == "cortex_m"])
def test_the_first_words_of_a_cortex_m_are_its_stack_and_its_start(name, linked):
    board, elf = linked(name)
    at = 256 if name == "rpi-pico" else 0
    stack, start = struct.unpack_from("<II", flash_image(board, elf), at)
    assert stack == board.ram.origin + board.stack
    assert start % 2 == 1
    assert board.flash.origin < start < board.flash.origin + board.flash.size


def test_the_second_stage_of_the_rp2040_has_the_checksum_that_its_rom_computes(linked):
    """CRC-32 most significant bit first, start value all ones, over 252 bytes: RP2040 data sheet, 2.8.1.3.1."""
    board, elf = linked("rpi-pico")
    image = flash_image(board, elf)
    crc = 0xFFFFFFFF
    for byte in image[:252]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    assert struct.unpack_from("<I", image, 252) == (crc,)


@pytest.mark.parametrize(("name", "kind"), [("rpi-pico2", 0x10210142), ("rpi-pico2-riscv", 0x11010142)])
def test_the_rp2350_finds_out_what_the_image_is(name, kind, linked):
    """The smallest IMAGE_DEF, within the first 4 kB: RP2350 data sheet, 5.9.5."""
    board, elf = linked(name)
    block = struct.pack("<5I", 0xFFFFDED3, kind, 0x1FF, 0, 0xAB123579)
    assert flash_image(board, elf)[:4096].count(block) == 1


def test_the_esp32_c3_starts_behind_the_two_words_that_its_rom_looks_for(linked):
    board, elf = linked("esp32-c3")
    assert struct.unpack_from("<II", flash_image(board, elf)) == (0xAEDB041D, 0xAEDB041D)
    assert struct.unpack_from("<I", elf.read_bytes(), 24)[0] == board.flash.origin + 8


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("main_program", ["self-test", "link"])
def test_an_emitted_project_builds_by_itself_from_a_clean_folder(name, main_program, network, tmp_path):
    board = boards.load(name)
    if not toolchain.has_compiler(board):
        pytest.skip(f"{board.compiler} is not installed")
    folder = tmp_path / "alone"
    codegen.emit(network, folder, board=name, main=main_program)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    elf = main_program.replace("-", "_")
    for commands in ([["cmake", "-B", "build"], ["cmake", "--build", "build"]], [["make"]]):
        if shutil.which(commands[0][0]) is None:
            pytest.skip(f"{commands[0][0]} is not installed")
        for command in commands:
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        built = folder / "build" / f"{elf}.elf"
        assert (folder / "build" / f"{elf}.bin").read_bytes() == flash_image(board, built)
        shutil.rmtree(folder / "build")


@pytest.mark.parametrize("name", ["lm3s6965evb", "netduinoplus2", *(["microbit"] if TEST_ALL else [])])
def test_the_drivers_of_real_boards_run_where_an_emulator_has_the_part(name, network, tmp_path, capsys):
    emitted.board_or_skip(name)
    edgebn.save(network, tmp_path / "network.edgebn")
    assert main(["device", "verify", str(tmp_path / "network.edgebn"), "--board", name, "--samples", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mismatches"] == 0


def test_a_network_that_does_not_fit_the_ram_is_refused_before_anything_is_written(shared_models, tmp_path, capsys):
    out = tmp_path / "out"
    model = str(shared_models / "resnet8_int8.tflite")
    assert main(["generate", model, "-o", str(out), "--board", "microbit"]) == 1
    said = capsys.readouterr().err
    assert "does not fit microbit: it needs" in said
    assert "more than the board's 16,384 bytes of RAM" in said
    assert "The layer that decides it is 'model/" in said
    assert not out.exists()


def test_a_network_that_does_not_fit_the_flash_is_refused(shared_models, tmp_path, monkeypatch):
    small = _with(boards.load("microbit"), flash=boards.Memory(0, 60_000), ram=boards.Memory(0, 1 << 20))
    monkeypatch.setattr(boards, "load", lambda name: small)
    why = r"constants alone need [\d,]+ bytes more than the board's 60,000 bytes of flash. The layer with most"
    with pytest.raises(BoardError, match=why):
        codegen.emit(edgebn.load(shared_models / "resnet8_int8.tflite"), tmp_path / "out", board="microbit")
    assert not (tmp_path / "out").exists()


def _with(board, **changes):
    return replace(board, **changes)


def test_a_program_that_does_not_fit_is_refused_by_the_linker_too(network, tmp_path):
    board = emitted.board_or_skip("mps2-an386")
    small = _with(board, flash=boards.Memory(0, 1024))
    project = codegen.emit(network, tmp_path / "project")
    include = [project.folder, project.folder / "kernels"]
    with pytest.raises(BoardError, match=r"needs [\d,]+ bytes more flash than the board's 1,024"):
        toolchain.build(small, emitted.network_sources(project), tmp_path / "build", include=include)


@pytest.mark.parametrize("text", ["title = 3 =", 'title = "no compiler"', ""])
def test_a_wrong_board_toml_is_an_error_that_names_it(text, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "board.toml").write_text(text)
    monkeypatch.setattr(boards, "FOLDER", tmp_path)
    assert boards.names() == ("mine",)
    with pytest.raises(BoardError, match=r"mine/board\.toml cannot be used"):
        boards.load("mine")


def test_every_board_has_its_row_in_the_documentation():
    text = (Path(boards.__file__).parents[1] / "docs" / "boards.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == set(boards.names())


@pytest.mark.parametrize("name", OF_ESP_IDF)
def test_a_board_that_its_own_system_builds_is_refused_as_a_project_of_ours(name, network, tmp_path, capsys):
    edgebn.save(network, tmp_path / "network.edgebn")
    assert main(["generate", str(tmp_path / "network.edgebn"), "-o", str(tmp_path / "out"), "--board", name]) == 2
    assert "--as esp-idf" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "x.bin").write_bytes(b"image")
    assert main(["device", "flash", str(tmp_path / "x.bin"), "--board", name]) == 2
    assert "flashed by idf.py" in capsys.readouterr().err


@pytest.mark.parametrize("name", OF_ESP_IDF)
def test_the_memory_of_a_board_of_esp_idfs_is_told(name, network, tmp_path, capsys):
    """Without its compiler; with one of the same family, which stands for it here, code and stack too."""
    edgebn.save(network, tmp_path / "network.edgebn")
    asked = ["analyze", str(tmp_path / "network.edgebn"), "--board", name, "--pool", "fast", "--pool", "slow", "--json"]
    assert main(asked) == 0
    told, board = json.loads(capsys.readouterr().out), boards.load(name)
    assert (told["fits"], [filled["name"] for filled in told["pools"]]) == (True, ["fast", "slow"])
    assert [filled["size"] for filled in told["pools"]] == [board.ram.size - board.stack, board.pools["slow"].size]
    if not toolchain.has_compiler(board):
        assert told["not_counted"] == f"{board.compiler} is not installed"


def test_the_code_for_a_board_of_esp_idfs_is_measured_where_its_compiler_is(network, monkeypatch, tmp_path, capsys):
    if not XTENSA_HEADERS.is_dir():
        pytest.skip("picolibc-xtensa-lx106-elf is not installed")
    flags = ("-mlongcalls", "-isystem", str(XTENSA_HEADERS))
    board = _with(boards.load("esp32"), compiler="xtensa-lx106-elf-gcc", flags=flags)
    load = boards.load
    monkeypatch.setattr(boards, "load", lambda name: board if name == "esp32" else load(name))
    edgebn.save(network, tmp_path / "network.edgebn")
    assert main(["analyze", str(tmp_path / "network.edgebn"), "--board", "esp32", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["code_bytes"] > 500
    assert 0 < told["stack_bytes"] < board.stack
    assert told["not_counted"] == "no emulator counts the instructions of a Xtensa LX6"


def test_a_pool_without_a_size_wants_a_board_that_has_it(network, tmp_path):
    with pytest.raises(UsageError, match=r"slow=BYTES: memories that are known of mps2-an385: none"):
        codegen.emit(network, tmp_path, "mps2-an385", pools=[codegen.Pool("slow")])


def test_boards_are_listed(capsys):
    assert main(["boards", "--json"]) == 0
    listed = {board["name"]: board for board in json.loads(capsys.readouterr().out)["boards"]}
    assert set(listed) == set(boards.names())
    assert listed["rpi-pico"]["ram"] == 264 * 1024
    assert not listed["rpi-pico"]["runs_here"]
    assert main(["boards"]) == 0
    assert "linked, not run" in capsys.readouterr().out
