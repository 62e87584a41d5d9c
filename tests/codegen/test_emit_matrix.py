"""Emitted networks under every compiler, level, standard and core that people have: the reference's bytes, and no warning.

`make test` takes a sample of one network, the long run all of five.
"""

import shutil
import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

import boards
import codegen
from boards import toolchain
from tests import emitted
from tests.codegen.test_emit_avr import BOARD as AVR_BOARD
from tests.codegen.test_emit_avr import CORE as AVR_CORE
from tests.codegen.test_emit_avr import RAM as AVR_RAM
from tests.codegen.test_emit_builds import NEWLIB, network
from tests.conftest import TEST_ALL

WARNINGS = "all extra pedantic conversion shadow undef cast-align strict-prototypes double-promotion error"
STRICT = [f"-W{name}" for name in WARNINGS.split()]
COMPILERS = ("gcc", "clang")
LEVELS = ("-O0", "-Og", "-O2", "-Os", "-O3", "-O2 -flto")
STANDARDS = ("c99", "gnu17")
NETWORKS = ("ds_cnn", "residual", "inverted_residual", "squeeze_excite", "pooling_2d")
# Cores that are emulated run; of the others the network is compiled.
EMULATED = ("mps2-an385-m0", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547", "qemu-riscv32-virt")
# QEMU has no Cortex-M23 and no Cortex-M33 without its extensions; a Cortex-M33 with them runs what is compiled for either.
ON_AN505 = {
    "m23": "-mcpu=cortex-m23 -mthumb -mfloat-abi=soft",
    "m33-soft": "-mcpu=cortex-m33+nodsp -mthumb -mfloat-abi=soft",
}
# Clang makes the network, GCC the rest, as it has libraries for the core: the emulated board, and Clang's flags.
ARM, PICOLIBC = f"--target=arm-none-eabi -mthumb -isystem {NEWLIB}", Path("/usr/lib/picolibc/riscv64-unknown-elf/include")
BY_CLANG = {
    "m0": ("mps2-an385-m0", f"{ARM} -mcpu=cortex-m0 -mfloat-abi=soft"),
    "m3": ("mps2-an385", f"{ARM} -mcpu=cortex-m3 -mfloat-abi=soft"),
    "m4": ("mps2-an386", f"{ARM} -mcpu=cortex-m4 -mfloat-abi=hard"),
    "m7": ("mps2-an500", f"{ARM} -mcpu=cortex-m7 -mfloat-abi=hard"),
    "m33": ("mps2-an505", f"{ARM} -mcpu=cortex-m33 -mfloat-abi=hard"),
    "m55": ("mps3-an547", f"{ARM} -mcpu=cortex-m55 -mfloat-abi=hard"),
    "rv32": ("qemu-riscv32-virt", f"--target=riscv32-unknown-elf -march=rv32imac -mabi=ilp32 -isystem {PICOLIBC}"),
    **{core: ("mps2-an505", f"--target=arm-none-eabi -isystem {NEWLIB} {flags}") for core, flags in ON_AN505.items()},
}
CLANGS_LEVELS = [level for level in LEVELS if level != "-O0"]  # which it refuses: see below
ALL = [*product(COMPILERS, LEVELS, STANDARDS)]
A_FEW = [("gcc", "-O0", "gnu17"), ("gcc", "-O3", "c99"), ("gcc", "-O2 -flto", "gnu17"), ("clang", "-Os", "gnu17")]
ON_HOST = ALL if TEST_ALL else A_FEW
A_FEW_CORES = [("mps2-an386", "-O0", "gnu17"), ("mps2-an385-m0", "-O3", "c99")]
ON_CORES = [*product(EMULATED, LEVELS, STANDARDS)] if TEST_ALL else A_FEW_CORES
CLANG_ON_CORES = [*product(BY_CLANG, CLANGS_LEVELS, STANDARDS)] if TEST_ALL else [("m4", "-O3", "gnu17"), ("m23", "-Os", "c99")]
AVR = [*product(LEVELS, ("c99", "gnu11"))] if TEST_ALL else [("-O2 -flto", "gnu11")]  # Debian's is GCC 5, which knows no gnu17
LIKE_AN505 = [*product(ON_AN505, LEVELS, STANDARDS)] if TEST_ALL else [("m23", "-O2", "gnu17"), ("m33-soft", "-O2 -flto", "c99")]
XTENSA = [*product(LEVELS, STANDARDS)] if TEST_ALL else [("-O2", "gnu17")]
XTENSA_HEADERS = Path("/usr/lib/xtensa-lx106-elf")
OWN = Path(__file__).parents[1] / "c"
OF_NETWORKS = pytest.mark.parametrize("name", NETWORKS if TEST_ALL else NETWORKS[1:2])


def compiled(command, folder):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]


@pytest.mark.parametrize(("compiler", "level", "standard"), ON_HOST)
@OF_NETWORKS
def test_a_host_gives_the_references_bytes(name, compiler, level, standard, tmp_path):
    project = codegen.emit(network(name, "int8"), tmp_path, name="net")
    sources = [file for file in project.files if file.endswith(".c") and file != "folders.c"]
    flags = [f"-std={standard}", *level.split(), *STRICT]
    compiled([compiler, *flags, "-Iboard", *sources, "-o", "program"], tmp_path)
    said = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=False, timeout=300)
    assert (said.returncode, ", 0 differ, " in said.stdout) == (0, True), said.stdout


@pytest.mark.parametrize(("board", "level", "standard"), ON_CORES)
@OF_NETWORKS
def test_a_core_gives_the_references_bytes(name, board, level, standard, tmp_path):
    run_on(emitted.board_or_skip(board), name, level, standard, tmp_path)


@pytest.mark.parametrize(("core", "level", "standard"), LIKE_AN505)
@OF_NETWORKS
def test_code_for_lesser_cores_gives_the_references_bytes_on_a_cortex_m33(name, core, level, standard, tmp_path):
    target = replace(emitted.board_or_skip("mps2-an505"), flags=tuple(ON_AN505[core].split()))
    run_on(target, name, level, standard, tmp_path)


def run_on(target, name, level, standard, tmp_path):
    project = codegen.emit(network(name, "int8"), tmp_path, target.name, name="net")
    first, *more = level.split()
    flags = [f"-std={standard}", *more, *STRICT]
    program = toolchain.build(target, emitted.network_sources(project), tmp_path / "build", flags=flags, optimization=first)
    said = emitted.outcome(target, program)
    assert (said.status, said.differ) == (0, 0)


def by_clang(name, core, level, standard, folder):
    """Return the board, and the command with which Clang compiles a network that was emitted for it."""
    board, flags = BY_CLANG[core]
    target = emitted.board_or_skip(board)
    if core in ON_AN505:
        target = replace(target, flags=tuple(ON_AN505[core].split()))
    if not Path(flags.split("-isystem ")[1].split()[0]).is_dir():
        pytest.skip("the C library's headers are not installed (`make firmware-tools` installs them)")
    codegen.emit(network(name, "int8"), folder, board, name="net")
    return target, ["clang", *flags.split(), f"-std={standard}", *level.split(), *STRICT, "-c", "net.c"]


@pytest.mark.parametrize(("core", "level", "standard"), CLANG_ON_CORES)
@OF_NETWORKS
def test_what_clang_makes_for_a_core_gives_the_references_bytes(name, core, level, standard, tmp_path):
    target, command = by_clang(name, core, level, standard, tmp_path)
    compiled([*command, "-o", "net.o"], tmp_path)
    if "-flto" in level:
        compiled(["ld.lld", "-r", "net.o", "-o", "whole.o"], tmp_path)
        (tmp_path / "whole.o").replace(tmp_path / "net.o")
    sources = [tmp_path / file for file in ("net.o", "net_params.c", "net_vectors.c", "self_test.c")]
    said = emitted.outcome(target, toolchain.build(target, sources, tmp_path / "build"))
    assert (said.status, said.differ, said.vectors) == (0, 0, 2)


@pytest.mark.parametrize("core", BY_CLANG if TEST_ALL else ["m4"])
def test_clang_refuses_a_core_without_optimisation(core, tmp_path):
    _, command = by_clang(NETWORKS[1], core, "-O0", "gnu17", tmp_path)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode != 0
    assert "without optimisation these kernels take kilobytes of stack" in done.stderr


@pytest.mark.parametrize(("level", "standard"), AVR)
@OF_NETWORKS
def test_an_avr_gives_the_references_bytes(name, level, standard, tmp_path):
    """Of every layer, where int has 16 bits."""
    project = codegen.emit(network(name, "int8"), tmp_path, name="net")
    assert project.flash_bytes + project.arena_bytes + (tmp_path / "net_vectors.c").read_text().count(",") <= AVR_RAM
    flags = ["-DEDGEBN_TRACE", "-I.", "-Dmain=self_test_main"]
    command = ["avr-gcc", f"-mmcu={AVR_CORE}", f"-std={standard}", *level.split(), *STRICT]
    compiled([*command, *flags, "-c", "self_test.c", "net.c", "net_params.c", "net_vectors.c"], tmp_path)
    objects = ["self_test.o", "net.o", "net_params.o", "net_vectors.o"]
    compiled([*command, "-I.", *objects, AVR_BOARD, "-o", "net.elf"], tmp_path)
    if shutil.which("simavr") is None:
        pytest.skip("simavr is not installed")
    machine = ["simavr", "-m", AVR_CORE, "-f", "16000000", "net.elf"]
    said = subprocess.run(machine, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert "net: 2 vectors, 0 differ" in said.stdout + said.stderr


@pytest.mark.parametrize(("compiler", "level"), [*product(("g++", "clang++"), LEVELS)] if TEST_ALL else [("g++", "-O2")])
@OF_NETWORKS
def test_a_network_compiled_as_cpp_gives_the_references_bytes(name, compiler, level, tmp_path):
    """Where somebody's build takes every file for C++17: strict ones refuse it, as it has designated initialisers."""
    project = codegen.emit(network(name, "int8"), tmp_path, name="net")
    compiled([compiler, "-std=gnu++17", *level.split(), "-w", "-x", "c++", "-c", "net.c", "net_params.c"], tmp_path)
    rest = [file for file in project.files if file.endswith(".c") and file not in {"folders.c", "net.c", "net_params.c"}]
    c = "gcc" if compiler == "g++" else "clang"
    compiled([c, "-std=gnu17", *level.split(), "-Iboard", *rest, "net.o", "net_params.o", "-o", "program"], tmp_path)
    said = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=False, timeout=300)
    assert (said.returncode, ", 0 differ, " in said.stdout) == (0, True), said.stdout


@pytest.mark.parametrize(("level", "standard"), XTENSA)
@OF_NETWORKS
def test_an_xtensa_gives_the_references_bytes(name, level, standard, tmp_path):
    """Of every layer. ESP32 and ESP32-S3 have younger cores of this family.

    The tools are Debian's gcc-xtensa-lx106, picolibc-xtensa-lx106-elf and qemu-system-misc.
    """
    if not XTENSA_HEADERS.is_dir() or shutil.which("qemu-system-xtensa") is None:
        pytest.skip("picolibc-xtensa-lx106-elf or qemu-system-xtensa is not installed")
    codegen.emit(network(name, "int8"), tmp_path, "mps2-an386", name="net")
    flags = [f"-std={standard}", *level.split(), *STRICT, "-mlongcalls", "-mtext-section-literals", "-DEDGEBN_TRACE", "-I."]
    link = ["-nostartfiles", "-nostdlib", f"-L{XTENSA_HEADERS / 'lib'}", f"-T{OWN / 'xtensa.ld'}", "-lc", "-lgcc", "-o", "net.elf"]
    compiler = ["xtensa-lx106-elf-gcc", *flags, "-isystem", XTENSA_HEADERS / "include"]
    # Its start is assembly, whose call of main the optimisation of whole programs does not see.
    compiled([*compiler, "-fno-lto", "-c", OWN / "xtensa_board.c", "-o", "board.o"], tmp_path)
    compiled([*compiler, "net.c", "net_params.c", "net_vectors.c", "self_test.c", "board.o", *link], tmp_path)
    machine = [
        "qemu-system-xtensa",
        "-M",
        "sim",
        "-cpu",
        "lx106",
        "-semihosting",
        "-nographic",
        "-monitor",
        "none",
        "-serial",
        "none",
    ]
    said = subprocess.run([*machine, "-kernel", "net.elf"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert (said.returncode, said.stdout) == (0, "net: 2 vectors, 0 differ, 0 ticks each\n"), said.stderr


@pytest.mark.parametrize("standard", ["c++11", "c++17", "gnu++20"])
@OF_NETWORKS
def test_cpp_takes_the_headers(name, standard, tmp_path):
    codegen.emit(network(name, "int8"), tmp_path, name="net", instances=True)
    (tmp_path / "main.cpp").write_text('#include "net.h"\n#include "net_real.h"\nint main() { net_init(); }\n')
    strict = [flag for flag in STRICT if flag != "-Wstrict-prototypes"]
    compiled(["g++", f"-std={standard}", *strict, "-fsyntax-only", "main.cpp"], tmp_path)


def test_every_board_is_in_the_matrix():
    """By its core: but for those that another board stands for."""
    cores = {boards.load(name).core for name in EMULATED}
    assert {"Cortex-M0", "Cortex-M3", "Cortex-M4F", "Cortex-M7", "Cortex-M33", "Cortex-M55", "RV32IMAC"} == cores
