"""The listing of one kernel's machine code: functions are found by the names that Python has for them."""

import subprocess
import sys

import pytest

from benchmarks.kernels import assembly
from tests.conftest import TEST_ALL

LISTING = """
kernels.o:     file format elf64-x86-64

Disassembly of section .text:

0000000000000000 <_ZN6edgebn7kernels4pool11average_f32B3v73B70c8tJTIeFIjxB2E>:
   0:\tpush   %rbp
   1:\tret

0000000000000010 <edgebn_tile_i8_12x2>:
  10:\tret
"""


def test_functions_have_the_names_that_python_has():
    found = dict(assembly.functions(LISTING))
    assert list(found) == ["pool.average_f32", "edgebn_tile_i8_12x2"]
    assert found["pool.average_f32"].count("ret") == 1


@pytest.mark.skipif(not TEST_ALL, reason="compiles an executor: make test-all")
def test_one_kernel_is_shown():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kernels.assembly", "pool.average_f32"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("pool.average_f32:")
    assert "ret" in done.stdout
