"""Several networks in one translation unit: one copy of the kernels they share, the same bytes in every layout, no two editions."""

import re
import subprocess

import numpy as np
import pytest

import codegen
from boards import emulator, toolchain
from codegen import kernels
from codegen.packages import SYSTEMS
from edgebn.errors import BoardError
from tests import emitted
from tests.codegen import system_builds
from tests.codegen.test_emit_names import convolution
from tests.codegen.test_systems import BOTH, outputs
from tests.conftest import TEST_ALL
from tests.demo_model import demo_int8

CORES = ["mps2-an386", *(["mps2-an385-m0", "mps2-an500", "qemu-riscv32-virt"] if TEST_ALL else [])]
UNIT = '#define EDGEBN_UNIT\n#include "one.c"\n#include "two.c"\n'
MAIN = """#include "board.h"
#include "one.h"
#include "two.h"

static const int8_t inputs[2][ONE_INPUT_SIZE] = {%s};

int main(void) {
    static int8_t answers[2][ONE_OUTPUT_SIZE];
    uint32_t i;

    one_init();
    two_init();
    one_run(inputs[0], answers[0]);
    two_run(inputs[1], answers[1]);
    for (i = 0; i < sizeof answers; i++) {
        board_put((uint8_t)answers[i / ONE_OUTPUT_SIZE][i %% ONE_OUTPUT_SIZE]);
    }
    board_exit(0);
    return 0;
}
"""


@pytest.fixture
def both(tmp_path):
    """Return a function: (board, whether in one unit) to the linked program of two models; and its bytes."""
    network = demo_int8()
    codes = emitted.draw_codes(network, 2)
    sources = []
    for name in ("one", "two"):
        folder = codegen.emit(network, tmp_path / name, name=name).folder
        sources += [folder / f"{name}.c", folder / f"{name}_params.c"]
    (tmp_path / "unit.c").write_text(UNIT)
    (tmp_path / "main.c").write_text(MAIN % ",".join(f"{{{','.join(map(str, one.reshape(-1)))}}}" for one in codes))

    def build(board, *, together):
        include = [tmp_path / "one", tmp_path / "two"]
        files = [tmp_path / "main.c", *sources, *([tmp_path / "unit.c"] if together else [])]
        flags = ["-DEDGEBN_ONE_UNIT"] if together else []
        return toolchain.build(board, files, tmp_path / f"build{together}", include=include, flags=flags)

    return build, outputs(network, codes).astype(np.int8).tobytes()


def functions(elf, tool):
    """Return how many copies of each kernel are in a program; what a compiler made of one for a caller counts as one."""
    said = subprocess.run([tool, elf], capture_output=True, text=True, check=True).stdout
    names = [line.split()[-1] for line in said.splitlines() if re.search(r" [tTwW] edgebn_", line)]
    plain = [name.split(".")[0] for name in names]
    return {name: plain.count(name) for name in plain}


@pytest.mark.parametrize("name", CORES)
def test_two_models_share_one_copy(name, both):
    board = emitted.board_or_skip(name)
    build, expected = both
    tool = board.compiler.removesuffix("gcc") + "nm"
    apart, together = build(board, together=False), build(board, together=True)
    assert set(functions(apart, tool).values()) == {2}
    assert functions(together, tool) == dict.fromkeys(functions(apart, tool), 1)
    assert toolchain.size(board, together).flash < toolchain.size(board, apart).flash
    for program in (apart, together):
        assert emulator.run(board, program).output == expected


@pytest.mark.parametrize("system", SYSTEMS if TEST_ALL else ["cmake", "esp-idf"])
def test_every_layout_takes_one_unit(system, monkeypatch, tmp_path):
    """The unit is a file of the user's program, here the one with main; the macro is for all of the build."""
    monkeypatch.setattr(system_builds, "STRICT", [*system_builds.STRICT, "-DEDGEBN_ONE_UNIT"])
    networks = {"one": convolution("a"), "two": convolution("b", ("v", "w"))}
    folders = [codegen.emit(network, tmp_path / name, name=name, system=system).folder for name, network in networks.items()]
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "main.c").write_text(UNIT + BOTH)
    program = system_builds.TOGETHER[system](folders, tmp_path / "both" / "main.c")
    codes = emitted.draw_codes(networks["one"], 3)
    done = subprocess.run([program], input=codes.tobytes(), capture_output=True, check=True, timeout=300)
    expected = np.concatenate([outputs(networks[name], codes) for name in ("two", "one")], axis=1)
    assert done.stdout == expected.astype(np.int8).tobytes()


def test_another_editions_kernels_are_refused(both, tmp_path):
    build, _ = both
    header = tmp_path / "one/kernels" / kernels.EDITION_HEADER
    header.write_text(re.sub(r"EDITION 0x\w+", "EDITION 0x1u", header.read_text()))
    with pytest.raises(BoardError, match="these kernels are of another edition than this network"):
        build(emitted.board_or_skip("host"), together=True)


def test_a_network_that_adapts_is_a_unit_of_its_own(adapting_demo, tmp_path):
    board = emitted.board_or_skip("host")
    project = codegen.emit(adapting_demo[0], tmp_path, name="net", adapt=True)
    elf = emitted.build(project, board, trace=False, flags=["-DEDGEBN_ONE_UNIT"])
    assert emitted.outcome(board, elf).status == 0
    with pytest.raises(BoardError, match="leave it out of this unit"):
        emitted.build(project, board, trace=False, flags=["-DEDGEBN_ONE_UNIT", "-DEDGEBN_UNIT"])


def test_an_edition_is_that_of_all_headers(monkeypatch, tmp_path):
    before = kernels.edition()
    for header in kernels.LIBRARY.glob("*.h"):
        (tmp_path / header.name).write_bytes(header.read_bytes())
    (tmp_path / "edgebn_move.h").write_text("/* another */")
    monkeypatch.setattr(kernels, "LIBRARY", tmp_path)
    kernels.edition.cache_clear()
    assert kernels.edition() != before
    kernels.edition.cache_clear()
