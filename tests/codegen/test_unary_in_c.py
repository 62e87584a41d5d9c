"""Functions of one number in C against float64, over the whole range of float32: what engines agree upon is no small error here."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgebn.functions import FUNCTIONS

ROOT = Path(__file__).resolve().parents[2]

STEP = 100_003  # of the bits of float32, a prime
UNITS = {"cos": 2.5, "sin": 2.5}  # in the last place
SOURCE = """
#include "edgebn_elementwise_f32.h"
void apply(const float *in, float *out, int count);
void apply(const float *in, float *out, int count) {{
    const edgebn_function_f32 none = {{0.0f, 0.0f, 0.0f, 0.0f}};
    edgebn_elementwise_f32(in, out, count, edgebn_apply_{name}_f32, none);
}}
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_units_in_the_last_place(name, tmp_path):
    (tmp_path / "unary.c").write_text(SOURCE.format(name=name))
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC"]
    built = tmp_path / "unary.so"
    subprocess.run(["gcc", *flags, "-I", ROOT / "codegen" / "c", tmp_path / "unary.c", "-o", built], check=True)
    x = np.arange(0, 1 << 32, STEP, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = np.ascontiguousarray(x[np.isfinite(x)])
    got = np.zeros_like(x)
    ctypes.CDLL(str(built)).apply(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(got.ctypes.data), len(x))
    exact = FUNCTIONS[name](x.astype(np.float64), None)
    assert (np.abs(got - exact) <= UNITS[name] * np.spacing(np.abs(exact).astype(np.float32))).all()
