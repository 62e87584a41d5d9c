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
COMPILED = {
    **{core: ("arm-none-eabi-gcc", flags) for core, flags in ON_AN505.items()},
    "avr": ("avr-gcc", "-mmcu=atmega1284p"),
}
ALL = [*product(COMPILERS, LEVELS, STANDARDS)]
A_FEW = [("gcc", "-O0", "gnu17"), ("gcc", "-O3", "c99"), ("gcc", "-O2 -flto", "gnu17"), ("clang", "-Os", "gnu17")]
ON_HOST = ALL if TEST_ALL else A_FEW
A_FEW_CORES = [("mps2-an386", "-O0", "gnu17"), ("mps2-an385-m0", "-O3", "c99")]
ON_CORES = [*product(EMULATED, LEVELS, STANDARDS)] if TEST_ALL else A_FEW_CORES
COMPILED_ONLY = [*product(COMPILED, LEVELS, STANDARDS)] if TEST_ALL else [*product(COMPILED, ("-Os",), ("gnu17",))]
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


@pytest.mark.parametrize(("core", "level", "standard"), COMPILED_ONLY)
@OF_NETWORKS
def test_other_cores_compilers_take_it_without_a_warning(name, core, level, standard, tmp_path):
    compiler, flags = COMPILED[core]
    standard = "gnu11" if core == "avr" and standard == "gnu17" else standard  # Debian's is GCC 5 or 7
    codegen.emit(network(name, "int8"), tmp_path, "mps2-an386", name="net")
    compiled([compiler, f"-std={standard}", *level.split(), *STRICT, *flags.split(), "-c", "net.c", "net_params.c"], tmp_path)


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


@pytest.mark.parametrize("level", ["-Og", "-O2", "-Os", "-O3"] if TEST_ALL else ["-Os"])
@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4", "cortex-m55"] if TEST_ALL else ["cortex-m4"])
@OF_NETWORKS
def test_clang_for_arm_takes_it_without_a_warning(name, core, level, tmp_path):
    if not NEWLIB.is_dir():
        pytest.skip("newlib's headers are not installed (`make firmware-tools` installs them)")
    codegen.emit(network(name, "int8"), tmp_path, "mps2-an386", name="net")
    target = ["clang", "--target=arm-none-eabi", "-mthumb", f"-mcpu={core}", "-isystem", str(NEWLIB), "-std=gnu17", level]
    compiled([*target, *STRICT, "-c", "net.c", "net_params.c"], tmp_path)


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
