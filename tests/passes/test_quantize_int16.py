"""int16 activations with int8 weights, quantised here: nearer to float32 than int8, and the same bytes in every engine."""

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.cli.main import main
from edgebn.errors import QuantizationError
from edgebn.functions import FUNCTIONS
from edgebn.program_check import check_program
from tests import emitted
from tests.demo_model import DATA
from tests.passes.test_keep import data, ratio
from tests.passes.test_quantize import Maker, network_of_everything

# Of the network of everything, what has no int16 form: a PReLU with a slope a channel, bilinear resampling, products of matrices.
FLOATS = {"elementwise5", "resize13", "transpose14", "matmul15", "matmul16"}
BETTER = 12  # dB
# Where a function jumps, the nearest code of what it reads decides.
ACTIVATIONS = [name for name in FUNCTIONS if name not in ("prelu", "clip", "ceil", "floor", "round")]


@pytest.fixture(scope="module")
def everything():
    return network_of_everything()


@pytest.fixture(scope="module")
def wide(everything):
    return edgebn.quantize(everything, data(), activations="int16")


def types(program):
    return {
        step.name: p.step_dtype(step, program) for step in program.steps if not step.name.endswith(("/real", "/wide", "/codes"))
    }


def test_nearer_than_int8_and_what_has_no_form_is_float(everything, wide):
    narrow = edgebn.quantize(everything, data(), keep={})
    x = data(8, seed=3)
    assert ratio(everything, wide, x) > ratio(everything, narrow, x) + BETTER
    assert {name for name, dtype in types(wide).items() if dtype == "float32"} == FLOATS
    assert {dtype for name, dtype in types(wide).items() if name not in FLOATS} == {"int16"}


def test_every_engine_gives_the_same_bytes(everything, tmp_path):
    """Without what stays float32 every number is the reference's, in Python and in C."""
    make = Maker((8, 8, 4))
    one = make.convolution("x", 8)
    two = make.add(p.Elementwise, (make.convolution(one, 8),), (8, 8, 8), "silu")
    gate = make.add(p.Elementwise, (one,), (8, 8, 8), "sigmoid")
    both = make.add(p.Concat, (make.add(p.Multiply, (two, gate), (8, 8, 8)), make.add(p.Add, (one, two), (8, 8, 8))), (8, 8, 16), 2)
    mean = make.add(p.Pool, (make.convolution(both, 12),), (1, 1, 12), p.Window("average", (8, 8), (1, 1)))
    logits = make.convolution(mean, 10, (1, 1), norm=False, post=(-np.inf, np.inf))
    program = make.finish(make.add(p.Softmax, (logits,), (1, 1, 10)))
    quantized = edgebn.quantize(program, data(), activations="int16")
    check_program(quantized)
    assert quantized.dtype == "int16"
    assert ratio(program, quantized, data(8, seed=3)) > 40
    codes = np.random.default_rng(1).integers(-32768, 32768, (6, 8, 8, 4)).astype(np.int16)
    assert (edgebn.Session(quantized).run(codes) == reference.run(quantized, codes)).all()
    emitted.check(quantized, tmp_path / "out", "host", codes)


def test_the_mixed_network_runs_alike_everywhere(wide, tmp_path):
    check_program(wide)
    x = data(4, seed=1)
    np.testing.assert_allclose(edgebn.Session(wide).run(x), reference.run(wide, x), atol=2 / 32768)
    edgebn.save(wide, tmp_path / "wide.edgebn")
    again = edgebn.load(tmp_path / "wide.edgebn")
    assert (reference.run(again, x) == reference.run(wide, x)).all()


@pytest.mark.parametrize("name", ["convolution1", "add6", "concat10", "softmax23"])
def test_a_step_may_be_int16_among_int8(everything, name):
    steps = [step.name for step in everything.steps]
    name = next((step for step in steps if step.startswith(name.rstrip("0123456789"))), steps[0])
    quantized = edgebn.quantize(everything, data(), keep={name: "int16"})
    check_program(quantized)
    assert types(quantized)[name] == "int16"
    x = data(4, seed=1)
    np.testing.assert_allclose(edgebn.Session(quantized).run(x), reference.run(quantized, x), atol=2 / 256)


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_each_function_is_near_or_stays_float(function):
    make = Maker((6, 5, 4))
    above = make.add(p.Elementwise, ("x",), (6, 5, 4), "clip", 0.25, 4.0)  # in the domain of each
    program = make.finish(make.add(p.Elementwise, (above,), (6, 5, 4), function, alpha=0.5))
    quantized = edgebn.quantize(program, data(shape=(6, 5, 4)), activations="int16")
    assert ratio(program, quantized, data(8, (6, 5, 4), seed=3)) > 60


def test_what_is_not_to_be_combined_is_refused(everything):
    with pytest.raises(QuantizationError, match="leave out method="):
        edgebn.quantize(everything, data(), activations="int16", method="mse")
    with pytest.raises(QuantizationError, match="choose 'int8' or 'int16'"):
        edgebn.quantize(everything, data(), activations="int4")
    with pytest.raises(QuantizationError, match="'float32' or 'int16'"):
        edgebn.quantize(everything, data(), keep={everything.steps[0].name: "int4"})


def test_on_the_command_line(tmp_path, capsys):
    out = tmp_path / "wide.edgebn"
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(0, 1, (10, 28, 28, 1)).astype(np.float32))
    command = ["quantize", str(DATA / "fashion_mnist.keras"), "-o", str(out), "--calibration", str(tmp_path / "x.npy")]
    assert main([*command, "--activations", "int16"]) == 0
    quantized = edgebn.load(out)
    assert quantized.dtype == "int16"
    assert main([*command, "--keep", f"{quantized.steps[-1].name}=int16"]) == 0
    assert f"int16 are: {quantized.steps[-1].name}" in "".join(capsys.readouterr())
    assert types(edgebn.load(out))[quantized.steps[-1].name] == "int16"
