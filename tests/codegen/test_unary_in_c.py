"""Functions of one number in C against float64, over the whole range of float32: what engines agree upon is no small error here."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from codegen.emitters.text import float_literal
from edgebn.functions import FUNCTIONS
from tests.conftest import TEST_ALL
from tests.units import assert_within

ROOT = Path(__file__).resolve().parents[2]

STEP, DENSE_STEP = 100_003, 1999  # of the bits of float32, primes
DENSE = (2.0**-12, 2.0**7)  # between them functions bend
UNITS = 2.0  # in the last place
NAMES = [name for name in FUNCTIONS if name not in ("clip", "leaky_relu", "prelu")]
OF_POSITIVE = {"log", "rsqrt", "sqrt"}
PARAMETERS = SimpleNamespace(low=-1.0, high=1.0, alpha=1.0, beta=0.5, slope=None)
FORMULAS = {"sigmoid": lambda x, _: 1 / (1 + np.exp(-x)), "silu": lambda x, _: x / (1 + np.exp(-x))}  # small ones too
# Of GeM pools, local response norms, PCEN and the gamma of pictures; large, small and whole ones, of either sign.
EXPONENTS = (1 / 16, 0.3, 1 / 2.2, 0.75, -0.75, -0.98, 1.5, 2.2, 3.7, -2.5, 5.0, -3.0, 16.4, 17.0, -63.0, 64.0, 1000.5, -1e-3)
ODD_EXPONENTS = (0.0, 0.3, -0.3, 1.0, -1.0, 2.0, -2.0, 3.0, 2.0**23 + 1, 2.0**24, -1e30, 1e-45)
BASES = (2.0, 10.0, 1.7, 0.3, 1.0001, 1e-30, 3e38)
# Every function with its number, which compilers see, as they do in a network: one program has them all.
CASES = [
    *((name, 1.0) for name in NAMES),
    *(("power", exponent) for exponent in dict.fromkeys((*EXPONENTS, *ODD_EXPONENTS)) if exponent != 1.0),
    *(("exp_base", base) for base in BASES),
]
APPLY = """
static void apply_{number}(const float *in, float *out, int count) {{
    const edgebn_function_f32 numbers = {{-1.0f, 1.0f, {alpha}, 0.5f}};
    edgebn_elementwise_f32(in, out, count, edgebn_apply_{name}_f32, numbers);
}}
"""
SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include "edgebn_elementwise_f32.h"
{functions}
static void (*const functions[])(const float *, float *, int) = {{{names}}};
int main(int count, char **words) {{
    static float numbers[4096];
    FILE *in = fopen(words[1], "rb"), *out = fopen(words[2], "wb");
    const int number = atoi(words[3]);
    while ((count = (int)fread(numbers, sizeof *numbers, 4096, in)) > 0) {{
        functions[number](numbers, numbers, count);
        (void)fwrite(numbers, sizeof *numbers, (size_t)count, out);
    }}
    return fclose(in) + fclose(out);
}}
"""
FLAGS = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-I", ROOT / "codegen" / "c"]
COMPILERS = {
    "gcc": (["gcc"], []),
    "clang": (["clang"], []),
    # A microcontroller's compiler and its functions for cores without floating point; files by way of a debugger that QEMU plays.
    "arm": (["arm-none-eabi-gcc", "-march=armv7-a", "-marm", "--specs=rdimon.specs"], ["qemu-arm-static"]),
}


def arguments(name, compiler="gcc"):
    """Return float32 numbers of the whole range, subnormal ones with them, and more where functions bend.

    An emulator is asked for every ninth in the quick run: what differs there is arithmetic without floating point, for all numbers.
    """
    first, last = (int(np.float32(size).view(np.uint32)) for size in DENSE)
    dense = np.arange(first, last, DENSE_STEP, dtype=np.uint32)
    bits = [np.arange(0, 1 << 32, STEP, dtype=np.uint64).astype(np.uint32), dense, dense | np.uint32(1 << 31)]
    x = np.concatenate(bits).view(np.float32)
    x = x[np.isfinite(x) & ((x > 0) | (name not in OF_POSITIVE))]
    return x if TEST_ALL or not COMPILERS[compiler][1] else x[::9]


def built(source, tmp_path_factory):
    """Return a function that gives the command of a compiler's program, which is made when it is first asked for."""
    folder = tmp_path_factory.mktemp("programs")

    @cache
    def program(compiler):
        command, emulator = COMPILERS[compiler]
        for tool in (command[0], *emulator):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")
        (folder / f"{compiler}.c").write_text(source)
        subprocess.run([*command, *FLAGS, folder / f"{compiler}.c", "-o", folder / compiler], check=True)
        return [*emulator, folder / compiler]

    return program


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    functions = [APPLY.format(number=number, name=name, alpha=float_literal(alpha)) for number, (name, alpha) in enumerate(CASES)]
    names = ", ".join(f"apply_{number}" for number in range(len(CASES)))
    return built(SOURCE.format(functions="".join(functions), names=names), tmp_path_factory)


def run(program, x, folder, name, alpha=1.0):
    (folder / "in").write_bytes(x.tobytes())
    number = CASES.index((name, alpha))
    subprocess.run([*program, folder / "in", folder / "out", str(number)], check=True)
    return np.fromfile(folder / "out", np.float32)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", NAMES)
def test_units_in_the_last_place(name, compiler, programs, tmp_path):
    x = arguments(name, compiler)
    got = run(programs(compiler), x, tmp_path, name)
    with np.errstate(all="ignore"):
        exact = FORMULAS.get(name, FUNCTIONS[name])(x.astype(np.float64), PARAMETERS)
    x, got, exact = (array[np.abs(exact) < np.finfo(np.float32).max] for array in (x, got, exact))
    units = np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    worst = np.argmax(units)  # of NaN too
    assert units[worst] <= UNITS, (x[worst], got[worst], exact[worst])


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_powers(exponent, compiler, programs, tmp_path):
    x = arguments("power", compiler)
    with np.errstate(all="ignore"):
        exact = np.float_power(x, np.float32(exponent))
    assert_within(run(programs(compiler), x, tmp_path, "power", exponent), exact, 1.0)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("base", BASES)
def test_powers_of_one_base(base, compiler, programs, tmp_path):
    x = np.append(arguments("exp_base", compiler), np.float32([-np.inf, np.inf, np.nan]))
    with np.errstate(all="ignore"):
        exact = np.float_power(np.float32(base), x)
    assert_within(run(programs(compiler), x, tmp_path, "exp_base", base), exact, 1.0)


@pytest.mark.parametrize("exponent", ODD_EXPONENTS)
def test_powers_of_what_is_no_usual_number(exponent, programs, tmp_path):
    """As C99's annex F has them, and the infinity or zero of numbers near 1 by a large exponent."""
    below, above = np.nextafter(np.float32(1), np.float32([0, 2]))
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, -2, below, above, -below, -above], np.float32)
    with np.errstate(all="ignore"):
        expected = np.float_power(x, np.float32(exponent)).astype(np.float32)
    got = run(programs("gcc"), x, tmp_path, "power", exponent)
    np.testing.assert_allclose(got, expected, rtol=2.0**-23)
    known = ~np.isnan(expected)
    assert (np.signbit(got) == np.signbit(expected))[known].all()


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "gelu", "gelu_tanh", "mish", "erf", "exp", "elu", "softplus", "sqrt"])
def test_beyond_all_numbers(name, programs, tmp_path):
    x = np.array([-np.inf, np.inf, np.nan], np.float32)
    low, high, unknown = run(programs("gcc"), x, tmp_path, name)
    bounds = {"tanh": -1.0, "erf": -1.0, "elu": -1.0}
    assert low == bounds.get(name, 0.0) or (name == "sqrt" and np.isnan(low))
    assert high == (1.0 if name in ("sigmoid", "tanh", "erf") else np.inf)
    assert np.isnan(unknown)
