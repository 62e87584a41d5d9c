"""Emitted networks under the optimisation levels of other people's projects: little stack at any of them, or a refusal."""

import shutil
import subprocess
from dataclasses import replace

import pytest

import boards
import codegen
import edgebn
from codegen.build_files import OPTIMIZATION
from codegen.footprint import deepest
from tests import emitted
from tests.conftest import TEST_ALL

LEVELS = ("-O0", "-Og", "-O1", "-O2", "-Os", "-O3", "-Ofast")
BOARDS = ("mps2-an386", "mps2-an385-m0", "mps3-an547", "qemu-riscv32-virt")
MAX_STACK = 1000  # bytes of the worst path at any level; docs/firmware.md says 500 for -O2
MAX_OPTIMISED = 500
LEVEL_OF_ITS_OWN = "EDGEBN_OPTIMIZE_AS_TOLD"


@pytest.fixture(scope="module", params=["kws_int8.tflite", *(["resnet8_int8.tflite"] if TEST_ALL else [])])
def project(request, shared_models, tmp_path_factory):
    return codegen.emit(edgebn.load(shared_models / request.param), tmp_path_factory.mktemp("out"), "mps2-an386", name="net")


def compiled(board, project, folder, *flags):
    """Compile the network as somebody else's project would and return (the worst path's bytes, the object)."""
    command = [
        board.compiler,
        "-std=gnu17",
        *board.flags,
        *flags,
        "-fcallgraph-info=su",
        "-c",
        "net.c",
        "-o",
        str(folder / "net.o"),
    ]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return deepest((folder / "net.ci").read_text(), "net_run"), (folder / "net.o").read_bytes()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", BOARDS if TEST_ALL else BOARDS[:2])
def test_no_level_takes_kilobytes_of_stack(name, level, project, tmp_path):
    board = emitted.board_or_skip(name)
    stack, _ = compiled(board, project, tmp_path, level)
    assert stack is not None
    assert stack <= (MAX_OPTIMISED if level in {"-O2", "-Os", "-O3", "-Ofast"} else MAX_STACK)


@pytest.mark.parametrize("name", BOARDS)
def test_the_level_of_the_published_figures_is_as_it_was(name, project, tmp_path):
    board = emitted.board_or_skip(name)
    assert compiled(board, project, tmp_path, OPTIMIZATION) == compiled(
        board, project, tmp_path, OPTIMIZATION, f"-D{LEVEL_OF_ITS_OWN}"
    )


def test_a_level_may_be_insisted_on(project, tmp_path):
    board = emitted.board_or_skip("mps2-an386")
    stack, _ = compiled(board, project, tmp_path, "-O0", f"-D{LEVEL_OF_ITS_OWN}")
    assert stack is None or stack > MAX_STACK  # None: calls through pointers are left


@pytest.mark.parametrize("level", ["-O0", "-Og", "-Ofast"])
def test_other_levels_give_the_same_bytes(level, project):
    board = emitted.board_or_skip("mps2-an386")
    said = emitted.outcome(board, emitted.build(project, board, trace=True, optimization=level))
    assert (said.status, said.differ) == (0, 0)


def test_a_level_that_is_insisted_on_gives_the_same_bytes(project):
    board = replace(emitted.board_or_skip("mps2-an386"), stack=1 << 16)  # which such a project needs
    program = emitted.build(project, board, trace=False, optimization="-O0", flags=[f"-D{LEVEL_OF_ITS_OWN}"])
    said = emitted.outcome(board, program)
    assert (said.status, said.differ) == (0, 0)


def test_clang_says_so_where_it_would_take_kilobytes(project, tmp_path):
    if shutil.which("clang") is None or not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("clang, or the C library for Arm, is not installed")
    said = subprocess.run(["arm-none-eabi-gcc", "-print-sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    flags = ["--target=arm-none-eabi", f"-isystem{said or '/usr/lib/arm-none-eabi'}/include", *boards.load("mps2-an386").flags]
    for more, status in ((["-O0"], 1), (["-O1"], 0), (["-O0", f"-D{LEVEL_OF_ITS_OWN}"], 0)):
        done = subprocess.run(
            ["clang", *flags, *more, "-c", "net.c", "-o", str(tmp_path / "net.o")],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert ("compile with -O1 or more" in done.stderr) == bool(status)


@pytest.mark.parametrize("flags", [["-DEDGEBN_R9_IS_TAKEN", "-ffixed-r9"], ["-fpic", "-msingle-pic-base", "-mpic-register=r9"]])
def test_r9_is_left_alone_where_it_is_taken(flags, project, tmp_path):
    """By systems that keep the base of their data there, on Armv6-M, whose kernels name registers."""
    board = emitted.board_or_skip("mps2-an385-m0")
    compiled(board, project, tmp_path, "-O2", *flags)
    shown = subprocess.run(["arm-none-eabi-objdump", "-d", str(tmp_path / "net.o")], capture_output=True, text=True, check=True)
    written = [line for line in shown.stdout.splitlines() if line.split("\t")[2:3] in (["mov"], ["add"]) and "\tr9," in line]
    assert not written
    if "-ffixed-r9" in flags:
        said = emitted.outcome(board, emitted.build(project, board, trace=True, flags=flags))
        assert (said.status, said.differ) == (0, 0)
