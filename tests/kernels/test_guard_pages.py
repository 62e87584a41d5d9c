"""No kernel reads or writes a byte outside its buffers: beside each lies a page that may not be touched."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system for forbidden pages as Linux has them")
@pytest.mark.parametrize("side", ["end", "start"])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_kernels_touch_nothing_beside_their_buffers(dtype, side):
    command = [sys.executable, "-m", "tests.kernels.guard_pages", dtype, side]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "stayed inside" in done.stdout
