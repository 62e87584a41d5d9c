"""Firmware of a Raspberry Pi Pico as it is flashed, in rp2040js, which has the chip's clock tree; `make test-all` installs it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import boards
import codegen
from tests.codegen.test_codegen_kernels import drawn
from tests.programs import single

SCRIPT = Path(__file__).with_name("rp2040.mjs")
PACKAGE = SCRIPT.parents[2] / ".node" / "node_modules" / "rp2040js"
INSTRUCTIONS = 20_000_000


def run_in_rp2040js(image, text):
    command = ["node", SCRIPT, PACKAGE, image, text, str(INSTRUCTIONS)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("node") is None or not PACKAGE.is_dir(), reason="rp2040js is not installed: make test-all")
def test_a_pico_starts_at_its_clocks_and_gives_the_reference_bytes(tmp_path):
    board = boards.load("rpi-pico")
    if shutil.which(board.compiler) is None:
        pytest.skip(f"{board.compiler} is not installed (`make firmware-tools` installs it)")
    ((program, _),) = drawn(single("convolution", "int8"), 1)
    project = codegen.emit(program, tmp_path / "out", board="rpi-pico", name="small")
    done = subprocess.run(["make", "-s"], cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = run_in_rp2040js(project.folder / "build" / "self_test.bin", "ticks each")
    assert found["said"].startswith("small: ")
    assert " 0 differ" in found["said"]
    assert found["core"] == board.clock.started_hz
    assert found["uart"] == found["reference"] == board.uart.clock_hz
    assert abs(found["baud"] / board.uart.baud - 1) < 0.005
    assert found["problems"] == []
