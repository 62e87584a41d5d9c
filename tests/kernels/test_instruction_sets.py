"""The contract again for every other instruction set of this CPU, and for the JIT: each in a process of its own.

An instruction set is chosen at import. Tests run on objects where these are built, as `make test` does.
"""

import os
import subprocess
import sys

import pytest

from edgebn.kernels import isa, native
from tests.conftest import TEST_ALL
from tests.prebuilt import OTHERS
from tests.pythons import ROOT

SELECTION = "shapes or programs" if TEST_ALL else "(shapes or programs) and int8"


def assert_the_contract_holds(**settings):
    files = ["tests/test_contract.py", "tests/adapt/test_observe.py"]
    command = [sys.executable, "-m", "pytest", "-q", *files, "-k", SELECTION, "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout


@pytest.mark.parametrize("name", OTHERS)
def test_the_contract_holds(name):
    """By the JIT, which compiles for minutes, in the long run."""
    assert_the_contract_holds(EDGEBN_ISA=name, **({"EDGEBN_OBJECTS": ""} if TEST_ALL else {}))


@pytest.mark.skipif(native.load() is None, reason="all tests run on the JIT: `make test` builds objects")
def test_the_contract_holds_on_the_jit():
    assert_the_contract_holds(EDGEBN_ISA=isa.SELECTED.name, EDGEBN_OBJECTS="")
