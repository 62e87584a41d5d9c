"""Runs tests of a file once more, in a process of the plain kernels: without vectors and fused multiply-adds of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgebn.kernels import isa

ROOT = Path(__file__).resolve().parents[2]


def assert_passes(file, selected):
    """Assert that the file's tests whose names hold `selected` pass there; where this is such a process there is nothing to do."""
    if isa.SELECTED.name == "plain":
        pytest.skip("that is this process")
    command = [sys.executable, "-m", "pytest", "-q", file, "-k", selected, "-p", "no:cacheprovider"]
    environment = {**os.environ, "EDGEBN_ISA": "plain", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
