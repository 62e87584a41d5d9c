"""Adaptation in the emitted C: the sums of every kernel, and states and outputs after a stream, byte for byte those of Python."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import boards
import codegen
import edgebn
from codegen import emitters
from codegen.emit import list_network
from codegen.stepcode import CArray
from edgebn import program as p
from edgebn import reference
from edgebn.adapt.engines import ReferenceEngine
from edgebn.errors import ModelError
from edgebn.reference.float32 import exp, ln
from tests import c_programs, emitted
from tests.adaptations import with_adaptation
from tests.codegen import adapting_c
from tests.codegen.test_codegen_kernels import COMPILERS, checked, compiler, drawn
from tests.conftest import TEST_ALL
from tests.programs import programs, single

EXAMPLES = 100 if TEST_ALL else 8
CORES = ("mps2-an385-m0", "mps2-an385", "mps2-an386", "mps3-an547", "qemu-riscv32-virt")
POLICIES = ("compensated-tracking", "compensated")


# ---- statistics ----


def observing_text(program, sample, prefix):
    """Return (headers, C text): PREFIX_run compares the sums of every adapted step with the reference's; 0 is right."""
    sums = {}
    values = reference.run_steps(program, {program.inputs[0]: sample}, sums)
    observations = {layer.observation.step: layer.observation for layer in program.adaptation.layers}
    headers, data, body = [], [], []
    for i, step in enumerate(program.steps):
        names = c_programs.StepNames(prefix, i)
        code = emitters.emit(step, program, names)
        headers += code.headers
        data += c_programs.declarations(code, names)
        body.append(code.call)
        if step.name in observations:
            data += observation_text(observations[step.name], step, program, names, sums[step.name])
            first, second = (
                f"memcmp({names.array(part)}, {names.array(part)}_wanted, sizeof {names.array(part)})" for part in SUMS
            )
            body.append(f"if ({first} != 0 || {second} != 0) {{\n    return {i + 1};\n}}")
    for name in [*program.inputs, *program.constants, *(step.output for step in program.steps)]:
        shown = f"{prefix}_{c_programs.identifier(name)}"
        if name in program.constants or name in program.inputs:
            data.append(
                c_programs.array_text(CArray(f"{shown}{'_given' * (name in program.inputs)}", "int8_t", values[name], name))
            )
        if name not in program.constants:
            data.append(f"static int8_t {shown}[{values[name].size}] ALIGNED;\n")
    source = f"{prefix}_{c_programs.identifier(program.inputs[0])}"
    lines = "\n".join([f"memcpy({source}, {source}_given, sizeof {source});", *body]).replace("\n", "\n    ")
    return headers, f"{''.join(data)}\nstatic int {prefix}_run(void) {{\n    {lines}\n    return 0;\n}}\n"


SUMS = ("first", "second")


def observation_text(observation, step, program, names, sums):
    rows = np.zeros(p.epilogue_shape(step, program)[0], np.uint8)
    rows[p.observed_rows(step, observation, len(rows))] = 1
    channels = len(observation.center)
    first, second = names.array("first"), names.array("second")
    parts = ", ".join(names.array(part) for part in ("centers", "shifts", "rows"))
    wide = ", ".join(f"UINT64_C({int(value)})" for value in sums.second)
    return [
        f"#define {names.array('adapted')} {names.array('scale')}\n",
        c_programs.array_text(CArray(names.array("centers"), "int32_t", observation.center, "centers")),
        c_programs.array_text(CArray(names.array("shifts"), "uint8_t", observation.shift, "shifts")),
        c_programs.array_text(CArray(names.array("rows"), "uint8_t", rows, "rows")),
        c_programs.array_text(CArray(f"{first}_wanted", "int32_t", sums.first, "S1")),
        f"static const uint64_t {second}_wanted[{channels}] = {{{wide}}};\n",
        f"static int32_t {first}[{channels}];\nstatic uint64_t {second}[{channels}];\n",
        f"static const edgebn_observation_s8 {names.array('observation')} = {{{parts}, {first}, {second}}};\n",
    ]


def check_sums(cases, folder, command):
    adapted = [(with_adaptation(program, n), sample) for n, (program, sample) in enumerate(cases)]
    adapted = [(program, sample) for program, sample in adapted if program is not None]
    assert adapted
    texts = [observing_text(program, sample, f"p{n}") for n, (program, sample) in enumerate(adapted)]
    includes = "\n".join(f'#include "{header}"' for header in dict.fromkeys(header for headers, _ in texts for header in headers))
    switch = "#define EDGEBN_ADAPT\n#define EDGEBN_OBSERVED(layer) (&(layer))\n"
    calls = "\n".join(f"    failed = failed == 0 && p{n}_run() != 0 ? {100 * n + 1} : failed;" for n in range(len(texts)))
    text = switch + c_programs.PRELUDE.format(includes=includes) + "".join(text for _, text in texts)
    code = c_programs.build_and_run_text(text + c_programs.MAIN.format(calls=calls), folder, command, checked(command))
    assert code == 0, adapted[code // 100][0].steps


@pytest.mark.parametrize("kind", ["convolution", "transposed", "affine"])
def test_every_kind_of_step_gathers_the_references_sums(kind, tmp_path):
    many = 3 if kind == "convolution" else 1
    for name in COMPILERS if TEST_ALL else COMPILERS[:1]:
        check_sums(drawn(single(kind, "int8"), many * EXAMPLES), tmp_path, compiler(name))


def test_programs_gather_the_references_sums(tmp_path):
    check_sums(drawn(programs("int8"), EXAMPLES), tmp_path, compiler("gcc"))


# ---- streams ----


@pytest.mark.parametrize("policy", POLICIES)
def test_the_host_learns_what_python_learns(policy, adapting_demo, tmp_path):
    program, stream = adapting_demo
    adapter, wanted = adapting_c.in_python(program, stream, policy)
    found = adapting_c.on_board(program, stream, tmp_path / "out", "host", policy)
    adapting_c.same(found, wanted)
    assert max(layer.gate for layer in adapter.report().layers) > 0, "a stream that opens no gate shows nothing"
    adapter.reset()
    assert found.factory == adapter.to_bytes()


def test_the_reference_learns_it_too(adapting_demo):
    program, stream = adapting_demo
    _, wanted = adapting_c.in_python(program, stream[:12], POLICIES[0])
    assert adapting_c.in_python(program, stream[:12], POLICIES[0], ReferenceEngine(program))[1] == wanted


@pytest.mark.parametrize("core", CORES if TEST_ALL else CORES[2:3])
def test_cores_learn_what_python_learns(core, adapting_demo, tmp_path):
    program, stream = adapting_demo
    most = 80 if core == "mps3-an547" else 200  # they lie in its flash of 512 kB
    stream = stream[: most if TEST_ALL else 20]
    _, wanted = adapting_c.in_python(program, stream, POLICIES[0])
    adapting_c.same(adapting_c.on_board(program, stream, tmp_path / "out", core, POLICIES[0]), wanted)


def test_learning_is_the_same_when_a_compiler_may_fuse(adapting_demo, tmp_path):
    """clang fuses products and sums where the processor can, unless it is told not to."""
    program, stream = adapting_demo
    _, wanted = adapting_c.in_python(program, stream[:30], POLICIES[0])
    if "fma" not in cpu_flags() or shutil.which("clang") is None:
        pytest.skip("needs clang and a processor with fused multiply-add")
    found = adapting_c.on_board(program, stream[:30], tmp_path / "out", "host", POLICIES[0], compiler="clang", flags=("-mfma",))
    adapting_c.same(found, wanted)


def cpu_flags():
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    return next((line for line in lines if line.startswith("flags")), "").split()


# ---- arithmetic ----

NUMBERS = """#include <stdio.h>
#include "edgebn_adapt_f32.h"
int main(void) {
    static float x[COUNT];
    static uint64_t wide[COUNT];
    int i;
    if (fread(x, 4, COUNT, stdin) != COUNT || fread(wide, 8, COUNT, stdin) != COUNT) {
        return 1;
    }
    for (i = 0; i < COUNT; i++) {
        const float root = edgebn_sqrt_f32(x[i]), power = edgebn_exp_f32(x[i] - 40.0f);
        const float found[4] = {root, edgebn_ln_f32(x[i]), power, edgebn_from_u64_f32(wide[i])};
        fwrite(found, 4, 4, stdout);
    }
    return 0;
}
"""


def test_roots_logarithms_and_conversions_are_numpys(tmp_path):
    rng = np.random.default_rng(0)
    count = 200_000
    x = np.exp(rng.uniform(-80, 80, count)).astype(np.float32)
    x[: count // 2] = rng.uniform(0.01, 100, count // 2)
    x[:5] = [1, 4, 2, 0.25, np.float32(1) - np.float32(2**-24)]
    wide = rng.integers(0, 1 << 63, count, np.uint64) >> rng.integers(0, 63, count).astype(np.uint64)
    wide[:4] = [(1 << 24) + 1, (1 << 33) + (1 << 9), (1 << 33) + (1 << 9) + 1, 3 * (1 << 33) + (1 << 10)]
    source = tmp_path / "numbers.c"
    source.write_text(NUMBERS.replace("COUNT", str(count)))
    flags = [*c_programs.WARNINGS, "-O2", f"-I{c_programs.C_LIBRARY}"]
    subprocess.run([*compiler("gcc"), *flags, str(source), "-o", str(tmp_path / "numbers")], check=True)
    done = subprocess.run([tmp_path / "numbers"], input=x.tobytes() + wide.tobytes(), capture_output=True, check=True)
    found = np.frombuffer(done.stdout, np.float32).reshape(count, 4)
    with np.errstate(all="ignore"):
        for column, wanted in enumerate((np.sqrt(x), ln(x), exp(x - np.float32(40)), wide.astype(np.float32))):
            np.testing.assert_array_equal(found[:, column], wanted)


# ---- what is off costs nothing, what cannot be is refused ----


def test_without_adaptation_nothing_of_it_is_compiled(adapting_demo, tmp_path):
    program, _ = adapting_demo
    for folder, given in (("tables", program), ("none", replace(program, adaptation=None))):
        codegen.emit(given, tmp_path / folder, name="net")
    texts = [(tmp_path / folder / "net.c").read_text() for folder in ("tables", "none")]
    assert texts[0] == texts[1]
    assert "adapt" not in texts[0].lower()


def test_what_cannot_adapt_in_c_is_refused(adapting_demo, tmp_path):
    program, _ = adapting_demo
    real = {name: replace(buffer, dtype="float32") for name, buffer in program.buffers.items()}
    cases = [
        (replace(program, adaptation=None), {}, "no source tables"),
        (program, {"policy": "dua"}, "no adaptation policy 'dua' in firmware"),
        (replace(program, adaptation=replace(program.adaptation, classes=0)), {}, "needs a network that classifies"),
        (replace(program, buffers=real), {}, "firmware adapts int8 networks"),
    ]
    for given, options, said in cases:
        with pytest.raises(ModelError, match=said):
            codegen.emit(given, tmp_path / "out", adapt=True, **options)
    layer = program.adaptation.layers[0]
    wild = replace(layer, sigma=np.full_like(layer.sigma, 1e9))
    adaptation = replace(program.adaptation, layers=(wild, *program.adaptation.layers[1:]))
    with pytest.raises(ModelError, match=f"step '{layer.observation.step}': adapted multipliers might leave"):
        list_network(replace(program, adaptation=adaptation), policy=POLICIES[0])


@pytest.mark.parametrize("policy", POLICIES)
def test_the_self_test_of_an_adapting_network_learns(policy, adapting_demo, tmp_path):
    program, _ = adapting_demo
    board = emitted.board_or_skip("mps2-an386")
    project = codegen.emit(program, tmp_path, "mps2-an386", adapt=True, policy=policy)
    traced = emitted.outcome(board, emitted.build(project, board, trace=True))
    assert (traced.status, "differs" in traced.text) == (0, False)  # what it does while it learns was not recorded
    rule = tmp_path / "kernels/edgebn_adapt.c"
    rule.write_text(rule.read_text().replace("#define PRIOR_COUNT 16.0f", "#define PRIOR_COUNT 17.0f"))
    said = emitted.outcome(board, emitted.build(project, board, trace=True))
    assert said.status == 1
    assert said.differ == 1
    assert "learning differs" in said.text


# ---- settings of compilers ----

FUSING = (
    ("gcc", "host", ("-std=gnu17", "-mfma")),
    ("gcc", "host", ("-std=gnu17", "-mfma", "-O0")),
    ("gcc", "host", ("-std=gnu17", "-mfma", "-Ofast")),
    ("gcc", "host", ("-std=gnu17", "-mfma", "-O2", "-funsafe-math-optimizations")),
    (
        "gcc",
        "host",
        ("-std=gnu17", "-mfma", "-O2", "-ffp-contract=fast", "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"),
    ),
    ("gcc", "host", ("-std=gnu17", "-mfma", "-Os", "-flto")),
    ("clang", "host", ("-std=gnu17", "-mfma", "-O2", "-ffp-contract=on")),
    ("arm-none-eabi-gcc", "mps2-an386", ("-std=gnu17",)),
    ("arm-none-eabi-gcc", "mps2-an386", ("-std=gnu17", "-O0")),
    ("arm-none-eabi-gcc", "mps2-an386", ("-std=gnu17", "-Og", "-ffp-contract=fast")),
)


@pytest.mark.parametrize(("program", "board", "flags"), FUSING if TEST_ALL else FUSING[:2] + FUSING[4:5] + FUSING[7:9])
def test_learning_is_the_same_whatever_the_compiler_is_told(program, board, flags, adapting_demo, tmp_path):
    if board == "host" and "fma" not in cpu_flags():
        pytest.skip("needs a processor with fused multiply-add")
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    network, stream = adapting_demo
    _, wanted = adapting_c.in_python(network, stream[:20], POLICIES[0])
    adapting_c.same(adapting_c.on_board(network, stream[:20], tmp_path, board, POLICIES[0], compiler=program, flags=flags), wanted)


REFUSED = (
    ("gcc", ("-O2", "-ffast-math"), "-ffast-math"),
    ("gcc", ("-O1", "-ffinite-math-only"), "-ffinite-math-only"),
    ("gcc", ("-O2", "-mfpmath=387"), "FLT_EVAL_METHOD 0"),
    ("clang", ("-Ofast",), "-ffast-math"),
    ("arm-none-eabi-gcc", ("-O2", "-mcpu=cortex-m4", "-mthumb", "-mbig-endian"), "little-endian"),
)


@pytest.mark.parametrize(("program", "flags", "why"), REFUSED)
def test_what_no_pragma_mends_is_refused_when_it_is_compiled(program, flags, why, tmp_path):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    source = str(c_programs.C_LIBRARY / "edgebn_adapt.c")
    done = subprocess.run(
        [program, "-std=gnu17", *flags, "-c", source, "-o", str(tmp_path / "adapt.o")], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert why in done.stderr


def test_a_project_that_adapts_passes_its_self_test_under_other_names(adapting_demo, tmp_path):
    program, stream = adapting_demo
    project = codegen.emit(program, tmp_path, name="eyes", prefix="acme", adapt=True, samples=stream[:2])
    said = emitted.outcome(boards.load("host"), emitted.build(project, boards.load("host"), trace=False))
    assert (said.status, said.differ) == (0, 0)
    for file in project.files:
        assert "edgebn_adapt" not in (tmp_path / file).read_text()


# ---- cost ----

# Most of an inference that gathering may take, in the order of the networks; million instructions of learning on Cortex-M4F.
# GCC 12.2 makes them 3.9 and 2.4 %, GCC 14.2 3.9 and 2.5 %.
MAX_SHARE = {"kws.keras": 0.05, "resnet8_jpeg.h5": 0.026}
MAX_LEARNING = {"kws.keras": 0.2, "resnet8_jpeg.h5": 0.15}


def adaptable_benchmark(model, shared_models, shared_data):
    """Return a benchmark network with few source samples (their number costs nothing), and a few inputs of a shifted world."""
    if model == "kws.keras":
        with np.load(shared_data / "kws_dev.npz") as data:
            x = (data["x"][:80].astype(np.float32) - 83) * np.float32(0.5847029)
    else:
        with np.load(shared_data / "cifar10_dev.npz") as data:
            x = data["x_train"][:80].astype(np.float32)
    program = edgebn.adaptable(edgebn.quantize(edgebn.load(shared_models / model), x), x)
    buffer = program.buffers[program.inputs[0]]
    codes = np.stack([reference.quantize_real(image.reshape(buffer.shape), buffer) for image in x])
    count = 200 if TEST_ALL else 12
    many = np.resize(codes, (count, *program.shapes[program.inputs[0]]))
    return program, adapting_c.shifted(many)


@pytest.mark.parametrize("core", ["mps2-an386", "mps2-an385", "qemu-riscv32-virt"] if TEST_ALL else ["mps2-an386"])
@pytest.mark.parametrize("model", MAX_SHARE)
def test_what_adaptation_costs(model, core, shared_models, shared_data, tmp_path):
    program, stream = adaptable_benchmark(model, shared_models, shared_data)
    board = emitted.board_or_skip(core)
    _, wanted = adapting_c.in_python(program, stream, POLICIES[0])
    found = adapting_c.on_board(program, stream, tmp_path / "on", core, POLICIES[0])
    adapting_c.same(found, wanted)
    given = stream[:2].reshape(2, *program.buffers[program.inputs[0]].shape)
    _, off = emitted.check(program, tmp_path / "off", core, given, trace=False)
    if core.startswith("mps2"):
        assert found.running / len(stream) / off.ticks - 1 <= MAX_SHARE[model]
    if core == "mps2-an386":
        assert board.timer.instructions(found.learning / len(stream)) / 1e6 <= MAX_LEARNING[model]
    if model == "resnet8_jpeg.h5":
        tracking, half = (list_network(program, policy=policy).adaptation for policy in POLICIES)
        assert 4 * tracking.numbers <= 4200
        assert 4 * half.numbers <= 2200
        assert tracking.table.first.size + tracking.table.second.size <= 6000
