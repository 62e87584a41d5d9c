"""Parameter files for other kernels: what TensorFlow Lite Micro's arithmetic makes of them, and what is refused.

`library_codes` is TFLM's reference kernel as its source has it (integer_ops/conv.h, common.h); CMSIS-NN documents the same.
"""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

import codegen
import edgebn
from boards.toolchain import WARNINGS
from codegen import layouts
from edgebn import program as p
from edgebn import reference
from edgebn.cli.main import main
from edgebn.errors import ModelError
from edgebn.reference.pooling import windows
from tests import emitted
from tests.codegen.test_codegen_kernels import compiler


def high_multiply(a, b):
    """SaturatingRoundingDoublingHighMul."""
    product = a.astype(object) * b
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    total = product + nudge
    return np.where(total >= 0, total // 2**31, -(-total // 2**31))


def rounding_shift(x, exponent):
    """RoundingDivideByPOT."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + np.where(x < 0, 1, 0)
    return (x >> exponent) + np.where((x & mask) > threshold, 1, 0)


def requantize(acc, multiplier, shift):
    """MultiplyByQuantizedMultiplier."""
    return rounding_shift(high_multiply(acc * 2 ** max(shift, 0), multiplier), max(-shift, 0))


def library_codes(step, program, value):
    """Return a convolution's codes from its library parameters alone."""
    weights, bias, multiplier, shift = (parameter.values for parameter in layouts.tflm(step, program))
    if step.groups > 1:
        weights = weights[0].transpose(2, 0, 1)[..., None]
    zero_point = program.buffers[step.inputs[0]].zero_point
    o, kh, kw, per_group = weights.shape
    seen = windows(value, (kh, kw), step.strides, step.dilations, step.padding, zero_point).astype(np.int64) - zero_point
    channels = []
    for c in range(o):
        first = c // (o // step.groups) * per_group
        acc = (seen[:, :, first : first + per_group] * weights[c].transpose(2, 0, 1)).sum(axis=(2, 3, 4)) + int(bias[c])
        channels.append(requantize(acc.astype(object), int(multiplier[c]), int(shift[c])))
    e = step.epilogue
    return np.clip(np.stack(channels, 2) + e.zero_point, e.qmin, e.qmax).astype(np.int64)


def differences(program, seed=0):
    """Return, for every convolution, the largest difference between the library's codes and the reference's."""
    buffer = program.buffers[program.inputs[0]]
    values = reference.run_steps(program, {buffer.name: emitted.draw_codes(program, 1, seed)[0]})
    found = {}
    for step in program.steps:
        if isinstance(step, p.Convolution) and step.pool is None:
            made = library_codes(step, program, values[step.inputs[0]])
            found[step.name] = int(np.abs(made - values[step.output]).max())
    return found


@pytest.mark.parametrize("model", ["kws_int8.tflite", "resnet8_int8.tflite", "ad01_int8.tflite"])
def test_files_of_tensorflow_lite_keep_their_bits(model, shared_models):
    found = differences(edgebn.load(shared_models / model))
    assert len(found) >= 9
    assert set(found.values()) == {0}


def test_networks_quantised_here_differ_by_one_code_at_most(shared_models, shared_data):
    images = np.load(shared_data / "cifar10_dev.npz")["x_train"][:50].astype(np.float32)
    program = edgebn.quantize(edgebn.load(shared_models / "resnet8_jpeg.h5"), images)
    found = differences(program)
    assert len(found) >= 9
    assert max(found.values()) <= 1
    negative = [step for step in program.steps if isinstance(step, p.Convolution) and (step.epilogue.m < 0).any()]
    assert negative, "no negative gamma: the test does not see what it is for"


@pytest.fixture(scope="module")
def kws(shared_models):
    return edgebn.load(shared_models / "kws_int8.tflite")


def changed(program, index=1, **fields):
    """Return the program with one step's epilogue changed in channel 0."""
    step = program.steps[index]
    arrays = {}
    for name, value in fields.items():
        array = getattr(step.epilogue, name).copy()
        array[0] = value
        arrays[name] = array
    steps = list(program.steps)
    steps[index] = replace(step, epilogue=replace(step.epilogue, **arrays))
    return replace(program, steps=tuple(steps))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"m": 0}, "multiplier of zero"),
        ({"lo": 0}, "clipped before its batch norm"),
        ({"m": 2**20, "r": 2**60, "s": 40}, "needs a bias of"),
        ({"m": 1, "r": 2**61, "s": 62}, "needs a shift by"),
    ],
)
@pytest.mark.parametrize("layout", ["cmsis-nn", "tflm"])
def test_a_channel_that_does_not_fit_is_refused_with_its_reason(fields, reason, layout, kws, tmp_path):
    program = changed(kws, **fields)
    with pytest.raises(ModelError, match=f"{re.escape(program.steps[1].name)}: channel 0 .*{reason}.*edgebn"):
        codegen.emit(program, tmp_path / "out", params_only=True, layout=layout)
    assert not (tmp_path / "out").exists()
    codegen.emit(program, tmp_path / "out", params_only=True)  # its own layout holds all of them


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_the_files_compile_and_hold_every_number(layout, kws, tmp_path):
    project = codegen.emit(kws, tmp_path, params_only=True, layout=layout, name="ears")
    assert {"ears_params.c", "ears_params.h"} <= set(project.files)
    text = (tmp_path / "ears_params.c").read_text()
    for step in kws.steps:
        if isinstance(step, p.Convolution):
            for parameter in layouts.LAYOUTS[layout](step, kws):
                assert str(parameter.values.shape[0]) in text
                numbers = re.search(rf"\w*_{parameter.suffix}\[{parameter.values.size}\] = {{([^}}]*)}}", text)
                assert numbers
    for name in ("gcc", "clang"):
        command = [*compiler(name), *WARNINGS, "-std=c99", "-c", "ears_params.c", "-o", "ears.o"]
        built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr


def test_c_reads_back_the_numbers_of_a_layer(kws, tmp_path):
    """Compile our own layout and print one layer's arrays."""
    project = codegen.emit(kws, tmp_path, params_only=True, name="ears")
    step = kws.steps[1]
    stem = re.search(r"const int8_t (ears_\w+)_weights\[576\]", (tmp_path / "ears_params.c").read_text())[1]
    sizes = {"weights": 576, "bias": 64, "multiplier": 64, "shift": 64, "offset": 64}
    loops = [f'for (i = 0; i < {size}; i++) printf("%lld ", (long long){stem}_{name}[i]);' for name, size in sizes.items()]
    text = (
        '#include <stdio.h>\n#include "ears_params.h"\nint main(void) {\n    int i;\n' + "\n".join(loops) + "\n    return 0;\n}\n"
    )
    (tmp_path / "main.c").write_text(text)
    subprocess.run([*compiler("gcc"), "main.c", "ears_params.c", "-o", "main"], cwd=tmp_path, check=True)
    printed = subprocess.run([str(tmp_path / "main")], capture_output=True, text=True, check=True).stdout
    e = step.epilogue
    expected = np.concatenate([array.reshape(-1).astype(np.int64) for array in (step.weight, e.acc_bias, e.m, e.s, e.r)])
    assert [int(word) for word in printed.split()] == expected.tolist()
    assert project.arena_bytes == 0


def test_float_parameters(shared_models, tmp_path):
    program = edgebn.load(shared_models / "kws.keras")
    codegen.emit(program, tmp_path, params_only=True, name="ears")
    text = (tmp_path / "ears_params.c").read_text()
    assert "_a[64]" in text
    assert "_d[64]" in text
    subprocess.run([*compiler("gcc"), *WARNINGS, "-std=c99", "-c", "ears_params.c"], cwd=tmp_path, check=True)
    with pytest.raises(ModelError, match="quantise the model"):
        codegen.emit(program, tmp_path, params_only=True, layout="tflm")


def test_the_command(shared_models, tmp_path, capsys):
    model = str(shared_models / "kws_int8.tflite")
    assert main(["generate", model, "-o", str(tmp_path), "--params-only", "--layout", "cmsis-nn", "--json"]) == 0
    assert '"files"' in capsys.readouterr().out
    assert "kws_int8_params.c" in {path.name for path in tmp_path.iterdir()}


def test_a_layout_without_params_only_and_an_unknown_one_are_refused(kws, tmp_path):
    with pytest.raises(ModelError, match="params_only"):
        codegen.emit(kws, tmp_path / "out", layout="tflm")
    with pytest.raises(ModelError, match="cmsis-nn"):
        codegen.emit(kws, tmp_path / "out", params_only=True, layout="cmsis")
