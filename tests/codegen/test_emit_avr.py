"""Emitted C where int has 16 bits: an AVR, emulated. Every byte of every layer is the reference's there too.

The tools are Debian's gcc-avr, avr-libc and simavr, which `make test-all` installs.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import codegen
import edgebn
from codegen.kernels import LIBRARY
from tests.codegen.test_codegen_kernels import drawn
from tests.codegen.test_emit_builds import adapting, network
from tests.demo_model import DATA
from tests.programs import KINDS, single

BOARD = Path(__file__).parents[1] / "c" / "avr_board.c"
CORE = "atmega1284p"  # 16 kB of RAM, which constant arrays share
RAM = 15_000  # without the stack
STRICT = ["-std=c99", "-Os", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
NETWORKS = ("ds_cnn", "residual", "upsampling", "batchnorm_everywhere", "transposed", "squeeze_excite")
SECONDS = 300


def compiled(*arguments, folder):
    if shutil.which("avr-gcc") is None:
        pytest.skip("avr-gcc is not installed (Debian's gcc-avr and avr-libc)")
    command = ["avr-gcc", f"-mmcu={CORE}", *STRICT, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[:3000]


def ran(program, folder, sample=None):
    """Return what the self-test of a program says on the emulated core, or None where it has not enough memory."""
    project = codegen.emit(program, folder, name="net", samples=None if sample is None else sample[None])
    vectors = (folder / "net_vectors.c").read_text().count(",")
    if project.flash_bytes + project.arena_bytes + vectors > RAM:
        return None
    compiled("-DEDGEBN_TRACE", "-Dmain=self_test_main", "-c", "self_test.c", "-o", "self_test.o", folder=folder)
    compiled(
        "-DEDGEBN_TRACE", "-I.", "self_test.o", "net.c", "net_params.c", "net_vectors.c", BOARD, "-o", "net.elf", folder=folder
    )
    if shutil.which("simavr") is None:
        pytest.skip("simavr is not installed")
    command = ["simavr", "-m", CORE, "-f", "16000000", "net.elf"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)
    return said.stdout + said.stderr


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compile_without_a_warning(name, dtype, tmp_path):
    codegen.emit(network(name, dtype), tmp_path, name="net")
    for file in ("net.c", "self_test.c"):
        compiled("-c", file, "-o", "out.o", folder=tmp_path)


def test_the_librarys_files_and_adaptation_compile_without_a_warning(tmp_path):
    for path in LIBRARY.glob("*.c"):
        compiled("-c", path, "-o", "out.o", folder=tmp_path)
    for main in ("link", "mlperf"):
        codegen.emit(adapting(), tmp_path / main, name="net", main=main, adapt=True)
        for file in ("net.c", f"{main}.c"):
            compiled("-c", file, "-o", "out.o", folder=tmp_path / main)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_the_references(name, tmp_path):
    said = ran(network(name, "int8"), tmp_path)
    assert said is not None
    assert "net: 2 vectors, 0 differ" in said


@pytest.mark.parametrize("kind", KINDS["int8"])
def test_every_kind_of_step_is_the_references(kind, tmp_path):
    """Those of a few random ones that fit the memory."""
    fitting = 0
    for number, (program, sample) in enumerate(drawn(single(kind, "int8"), 4)):
        said = ran(program, tmp_path / str(number), sample)
        if said is not None:
            fitting += 1
            assert "net: 1 vectors, 0 differ" in said
    assert fitting


def test_a_network_that_is_too_large_for_16_bits_says_so(tmp_path):
    codegen.emit(network("ds_cnn", "int8"), tmp_path / "small", name="net")
    assert "INT_MAX" not in (tmp_path / "small" / "net.c").read_text()
    codegen.emit(edgebn.load(DATA / "fashion_mnist.keras"), tmp_path / "large", name="net")
    limit = int(re.search(r"#if INT_MAX < (\d+)\n#error", (tmp_path / "large" / "net.c").read_text())[1])
    assert limit == max(array.nbytes for array in arrays_of(tmp_path / "large"))
    with pytest.raises(AssertionError, match="int is too small to count them"):
        compiled("-c", "net.c", "-o", "out.o", folder=tmp_path / "large")


def arrays_of(folder):
    """Return zeros of the sizes that the parameters' header declares."""
    header = (folder / "net_params.h").read_text()
    types = {"float": np.float32, "int8_t": np.int8, "int32_t": np.int32, "int16_t": np.int16}
    return [
        np.empty(int(size), types[kind]) for kind, size in re.findall(r"^extern .*const (\w+) \w+\[(\d+)\]", header, re.MULTILINE)
    ]
