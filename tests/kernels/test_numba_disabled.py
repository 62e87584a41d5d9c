"""NUMBA_DISABLE_JIT=1, with which people debug functions of their own, leaves sessions as they are."""

import os
import subprocess
import sys

CODE = """
import numpy as np
from numba import njit

import edgebn
from tests.demo_model import demo_images, demo_int8

session = edgebn.Session(demo_int8())
assert session.run(demo_images()[0][:2]).shape == (2, 10)
assert njit(lambda x: x).__name__ == "<lambda>", "what is not ours stays plain Python"
"""


def test_sessions_run_where_numba_is_switched_off():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "EDGEBN_OBJECTS": ""}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
