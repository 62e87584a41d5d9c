"""float32 softmax in C against float64: near sums, far ones, and results that are no normal numbers."""

import shutil
import subprocess

import numpy as np
import pytest

from tests.codegen.test_unary_in_c import COMPILERS, FLAGS, UNITS

NUMBERS = 60_000  # in each case
SOURCE = """
#include "edgebn_softmax_f32.h"
void apply(float *numbers, int channels);
void apply(float *numbers, int channels) {{ edgebn_softmax_f32(numbers, numbers, 1, channels, {beta}f); }}
int main(int count, char **names) {{
    static float numbers[{channels}];
    FILE *in = fopen(names[1], "rb"), *out = fopen(names[2], "wb");
    while ((count = (int)fread(numbers, sizeof *numbers, {channels}, in)) == {channels}) {{
        apply(numbers, {channels});
        (void)fwrite(numbers, sizeof *numbers, {channels}, out);
    }}
    return fclose(in) + fclose(out);
}}
"""


def run(x, beta, compiler, folder):
    command, emulator = COMPILERS[compiler]
    for program in (command[0], *emulator):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (folder / "softmax.c").write_text(SOURCE.format(channels=x.shape[1], beta=beta))
    subprocess.run([*command, *FLAGS, folder / "softmax.c", "-o", folder / "softmax"], check=True)
    (folder / "in").write_bytes(x.tobytes())
    subprocess.run([*emulator, folder / "softmax", folder / "in", folder / "out"], check=True)
    return np.fromfile(folder / "out", np.float32).reshape(x.shape)


def units(got, x, beta):
    """Return the errors in the last place of float32, those of results that are no normal numbers in theirs."""
    scaled = np.float64(np.float32(beta)) * x.astype(np.float64)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    exact = powers / powers.sum(axis=1, keepdims=True)
    return np.abs(got - exact) / np.spacing(exact.astype(np.float32)).astype(np.float64)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("beta", [1.0, 0.3])
@pytest.mark.parametrize("spread", [1.0, 10.0, 30.0])
@pytest.mark.parametrize("channels", [2, 10, 1001])
def test_two_units_in_the_last_place(channels, spread, beta, compiler, tmp_path):
    x = (np.random.default_rng(0).standard_normal((NUMBERS // channels, channels)) * spread).astype(np.float32)
    assert units(run(x, beta, compiler, tmp_path), x, beta).max() <= UNITS


def test_beyond_all_numbers(tmp_path):
    high = np.float32(3e38)
    x = np.array([[-np.inf, 0, 0], [high, -high, 0], [np.inf, 0, 0], [np.nan, 0, 0], [-np.inf] * 3], np.float32)
    masked, far, *unknown = run(x, 1.0, "gcc", tmp_path)
    np.testing.assert_array_equal(masked, [0, 0.5, 0.5])
    np.testing.assert_array_equal(far, [1, 0, 0])
    assert np.isnan(unknown).all()
