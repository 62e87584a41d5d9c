"""The contract again for every other instruction set of this CPU: each in a process of its own, as it is chosen at import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgebn.kernels import isa
from tests.conftest import TEST_ALL

ROOT = Path(__file__).resolve().parents[2]
OTHERS = [found.name for found in isa.AVAILABLE if found is not isa.SELECTED]
# Each set compiles its own executors: float32, and sets that differ from their neighbours by a product alone, only where time does
# not matter.
NEIGHBOURS = () if TEST_ALL else ("avx512", "avxvnni", "neon")
SELECTION = "shapes or programs" if TEST_ALL else "(shapes or programs) and int8"


@pytest.mark.parametrize("name", [name for name in OTHERS if name not in NEIGHBOURS])
def test_the_contract_holds(name):
    files = ["tests/test_contract.py", "tests/adapt/test_observe.py"]
    command = [sys.executable, "-m", "pytest", "-q", *files, "-k", SELECTION, "-p", "no:cacheprovider"]
    environment = {**os.environ, "EDGEBN_ISA": name, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
