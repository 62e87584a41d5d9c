"""Several instances of one emitted network, in memory of the caller's, and its helpers between codes and real numbers."""

import subprocess

import numpy as np
import pytest

import codegen
import edgebn
from edgebn.cli.main import main
from edgebn.errors import UsageError
from tests import emitted
from tests.codegen.system_builds import STRICT
from tests.codegen.test_emit_names import convolution
from tests.codegen.test_systems import outputs

# Two threads, each with an instance; a third in a buffer; and the network's own memory between.
THREADS = """#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "net.h"

#define COUNT 40

static int8_t inputs[COUNT][NET_INPUT_SIZE], answers[3][COUNT][NET_OUTPUT_SIZE];
static struct net instances[2];

static void *work(void *given) {
    const long number = (long)given;
    int i;

    net_init_with(&instances[number]);
    for (i = 0; i < COUNT; i++) {
        memcpy(net_input_of(&instances[number]), inputs[i], sizeof inputs[i]);
        net_run_with(&instances[number], net_input_of(&instances[number]), answers[number][i]);
    }
    return NULL;
}

int main(void) {
    static int64_t buffer[sizeof(struct net) / 8 + 2];
    pthread_t threads[2];
    struct net *placed;
    long number;
    int i;

    if (net_place(buffer, sizeof(struct net) - 1) || net_place((char *)buffer + 4, sizeof buffer - 4) || net_place(NULL, 99999)) {
        return 2;
    }
    placed = net_place(buffer, sizeof buffer);
    if ((void *)placed != (void *)buffer || fread(inputs, 1, sizeof inputs, stdin) != sizeof inputs) {
        return 3;
    }
    for (number = 0; number < 2; number++) {
        pthread_create(&threads[number], NULL, work, (void *)number);
    }
    for (i = 0; i < COUNT; i++) {
        net_run_with(placed, inputs[i], answers[2][i]);
    }
    for (number = 0; number < 2; number++) {
        pthread_join(threads[number], NULL);
    }
    fwrite(answers, 1, sizeof answers, stdout);
    return 0;
}
"""
REALS = """#include <stdio.h>

#include "net_real.h"

int main() {
    static float reals[NET_INPUT_SIZE], answers[NET_OUTPUT_SIZE];
    static int8_t codes[NET_INPUT_SIZE], output[NET_OUTPUT_SIZE];

    net_init();
    while (fread(reals, 1, sizeof reals, stdin) == sizeof reals) {
        net_quantize_input(reals, codes);
        net_run(codes, output);
        net_dequantize_output(output, answers);
        fwrite(codes, 1, sizeof codes, stdout);
        fwrite(answers, 1, sizeof answers, stdout);
        BEST
    }
    return 0;
}
"""


def built(folder, source, *flags, compiler="gcc", sources=("net.c", "net_params.c")):
    emitted.board_or_skip("host")
    suffix = "cpp" if compiler == "g++" else "c"
    (folder / f"main.{suffix}").write_text(source)
    objects = []
    for file in sources:
        subprocess.run(["gcc", "-std=c99", *STRICT, *flags, "-c", file, "-o", f"{file}.o"], cwd=folder, check=True)
        objects.append(f"{file}.o")
    strict = [flag for flag in STRICT if compiler == "gcc" or flag != "-Wstrict-prototypes"]
    subprocess.run([compiler, *strict, *flags, f"main.{suffix}", *objects, "-pthread", "-o", "program"], cwd=folder, check=True)
    return folder / "program"


def said(program, given):
    return subprocess.run([program], input=given, capture_output=True, check=True, timeout=300).stdout


@pytest.mark.parametrize("flags", [(), ("-DNET_NO_MEMORY",)], ids=["", "no-memory"])
def test_threads_run_their_own_instances(flags, tmp_path):
    network = convolution()
    codegen.emit(network, tmp_path, name="net", instances=True)
    codes = emitted.draw_codes(network, 40)
    expected = outputs(network, codes).astype(np.int8).tobytes()
    program = built(tmp_path, THREADS, *flags)
    assert said(program, codes.tobytes()) == expected * 3
    symbols = subprocess.run(["nm", "net.c.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert ("net_own" in symbols) == (not flags)


@pytest.mark.parametrize("instances", [False, True])
def test_own_memory_goes_into_a_section_of_theirs(instances, tmp_path):
    codegen.emit(convolution(), tmp_path, name="net", instances=instances)
    built(tmp_path, "int main(void) { return 0; }", '-DNET_MEMORY=__attribute__((section(".fast")))')
    told = subprocess.run(["objdump", "-t", "net.c.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert any(".fast" in line and ("net_own" if instances else "net_arena") in line for line in told.splitlines())


def test_the_constants_of_an_instance_are_shared(tmp_path):
    """An instance is the arena alone."""
    project = codegen.emit(convolution(), tmp_path, name="net", instances=True)
    program = built(
        tmp_path, '#include <stdio.h>\n#include "net.h"\nint main(void) { printf("%zu", sizeof(struct net)); return 0; }'
    )
    assert int(said(program, b"")) == -(-project.arena_bytes // 8) * 8


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_real_numbers_become_the_codes_of_python(compiler, tmp_path):
    network = convolution()
    codegen.emit(network, tmp_path, name="net")
    value = network.buffers[network.inputs[0]]
    rng = np.random.default_rng(4)
    reals = rng.normal(0, 3, (4, *value.shape)).astype(np.float32)
    reals[0].reshape(-1)[:8] = np.float32(value.scale) * np.array([0.5, 1.5, -0.5, -2.5, 1e9, -1e9, 200, -300], np.float32)
    source = REALS.replace("int main()", "int main(void)" if compiler == "gcc" else "int main()").replace("        BEST\n", "")
    found = said(built(tmp_path, source, compiler=compiler), reals.tobytes())
    size, answers = value.shape[0] * value.shape[1] * value.shape[2], network.buffers[network.outputs[0]]
    row = np.dtype([("codes", np.int8, size), ("reals", np.float32, int(np.prod(answers.shape)))])
    found = np.frombuffer(found, row)
    expected = np.clip(np.rint(reals / np.float32(value.scale)) + value.zero_point, -128, 127).reshape(4, -1)
    assert np.array_equal(found["codes"], expected)
    assert np.array_equal(found["reals"].reshape(4, *answers.shape), edgebn.Session(network).run(reals).reshape(4, *answers.shape))


def test_the_best_class_is_the_first_of_equals(tmp_path):
    codegen.emit(convolution(size=1), tmp_path, name="net")
    upper = "NET_OUTPUT_SIZE"
    source = f"""#include <stdio.h>
#include "net_real.h"
int main(void) {{
    static int8_t scores[{upper}];
    scores[1] = scores[2] = 7;
    printf("%d", net_best_output(scores));
    return 0;
}}
"""
    assert said(built(tmp_path, source, sources=()), b"") == b"1"


def test_a_network_that_adapts_has_one_memory(tmp_path, capsys):
    with pytest.raises(UsageError, match="what one learned is one for all"):
        codegen.emit(convolution(), tmp_path / "out", adapt=True, instances=True)
    edgebn.save(convolution(), tmp_path / "net.edgebn")
    for other in ("--adapt", "--params-only"):
        assert main(["generate", str(tmp_path / "net.edgebn"), "-o", str(tmp_path / "out"), "--instances", other]) == 2
        assert "--instances does nothing here" in capsys.readouterr().err
