"""float32 softmax in C against float64: near sums, far ones, and results that are no normal numbers."""

import subprocess

import numpy as np
import pytest

from tests.codegen.test_unary_in_c import COMPILERS, UNITS, built
from tests.conftest import TEST_ALL

NUMBERS = 60_000  # in each case
EMULATED = NUMBERS if TEST_ALL else NUMBERS // 5
CHANNELS, BETAS = (2, 10, 1001), (1.0, 0.3)
# Every case with its numbers, which compilers see, as they do in a network: one program has them all.
CASES = [*((channels, beta) for channels in CHANNELS for beta in BETAS), (3, 1.0)]
APPLY = """
static void apply_{number}(float *numbers) {{ edgebn_softmax_f32(numbers, numbers, 1, {channels}, {beta}f); }}
"""
SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include "edgebn_softmax_f32.h"
{functions}
static void (*const functions[])(float *) = {{{names}}};
static const int channels[] = {{{channels}}};
int main(int count, char **words) {{
    static float numbers[{most}];
    FILE *in = fopen(words[1], "rb"), *out = fopen(words[2], "wb");
    const int number = atoi(words[3]);
    while ((count = (int)fread(numbers, sizeof *numbers, (size_t)channels[number], in)) == channels[number]) {{
        functions[number](numbers);
        (void)fwrite(numbers, sizeof *numbers, (size_t)count, out);
    }}
    return fclose(in) + fclose(out);
}}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Return the program of a compiler, which is made when it is first asked for."""
    functions = "".join(APPLY.format(number=number, channels=c, beta=beta) for number, (c, beta) in enumerate(CASES))
    names = ", ".join(f"apply_{number}" for number in range(len(CASES)))
    lengths = ", ".join(str(channels) for channels, _ in CASES)
    return built(SOURCE.format(functions=functions, names=names, channels=lengths, most=max(CHANNELS)), tmp_path_factory)


def run(x, beta, program, folder):
    (folder / "in").write_bytes(x.tobytes())
    number = CASES.index((x.shape[1], beta))
    subprocess.run([*program, folder / "in", folder / "out", str(number)], check=True)
    return np.fromfile(folder / "out", np.float32).reshape(x.shape)


def units(got, x, beta):
    """Return the errors in the last place of float32, those of results that are no normal numbers in theirs."""
    scaled = np.float64(np.float32(beta)) * x.astype(np.float64)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    exact = powers / powers.sum(axis=1, keepdims=True)
    return np.abs(got - exact) / np.spacing(exact.astype(np.float32)).astype(np.float64)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("spread", [1.0, 10.0, 30.0])
@pytest.mark.parametrize("channels", CHANNELS)
def test_two_units_in_the_last_place(channels, spread, beta, compiler, programs, tmp_path):
    rows = (EMULATED if COMPILERS[compiler][1] else NUMBERS) // channels
    x = (np.random.default_rng(0).standard_normal((rows, channels)) * spread).astype(np.float32)
    assert units(run(x, beta, programs(compiler), tmp_path), x, beta).max() <= UNITS


def test_beyond_all_numbers(programs, tmp_path):
    high = np.float32(3e38)
    x = np.array([[-np.inf, 0, 0], [high, -high, 0], [np.inf, 0, 0], [np.nan, 0, 0], [-np.inf] * 3], np.float32)
    masked, far, *unknown = run(x, 1.0, programs("gcc"), tmp_path)
    np.testing.assert_array_equal(masked, [0, 0.5, 0.5])
    np.testing.assert_array_equal(far, [1, 0, 0])
    assert np.isnan(unknown).all()
