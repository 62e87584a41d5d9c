"""States in emitted C: sequences on the host and on emulated cores, byte for byte; streams that share one network."""

import subprocess

import numpy as np
import pytest

import codegen
import edgebn
from edgebn import program as p
from tests import emitted
from tests.cli.device.test_device import answer
from tests.codegen.test_codegen_kernels import drawn
from tests.codegen.test_emit_random import SANITIZERS, assert_all_right, run_all
from tests.programs import stateful

STEPS = 5


def networks(dtype, count):
    """Return random networks with a sequence for each."""
    found = []
    for seed, (program, sample) in enumerate(drawn(stateful(dtype), count)):
        rng = np.random.default_rng(seed)
        shape = (STEPS, *sample.shape)
        codes = rng.integers(-128, 128, shape).astype(np.int8)
        found.append((program, codes if dtype == "int8" else rng.standard_normal(shape).astype(np.float32)))
    return found


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_random_sequences_on_the_host(dtype, tmp_path):
    cases = networks(dtype, 12)
    assert_all_right(cases, run_all(cases, tmp_path, "host", SANITIZERS, whole=True))


@pytest.mark.parametrize("board", ["mps2-an386", "mps3-an547"])
def test_random_sequences_on_a_core(board, tmp_path):
    cases = networks("int8", 4)
    assert_all_right(cases, run_all(cases, tmp_path, board, whole=True))


@pytest.mark.parametrize("name", ["okay_nabu", "vad"])
@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_wake_words(name, board, shared_zoo, tmp_path):
    program = edgebn.load(shared_zoo / f"mww_v2_{name}.tflite")
    emitted.check(program, tmp_path / "project", board, emitted.draw_codes(program, 40))


STREAMS = """
#include <string.h>
#include <stdio.h>
#include "rows.h"
int main(void) {
    static int64_t kept[2][(ROWS_STATE_BYTES + 7) / 8];
    int8_t output[ROWS_OUTPUT_SIZE];
    int step, stream;

    rows_init();
    memcpy(kept[0], rows_state(), ROWS_STATE_BYTES);
    memcpy(kept[1], rows_state(), ROWS_STATE_BYTES);
    for (step = 0; step < 3; step++) {
        for (stream = 0; stream < 2; stream++) {
            int8_t input[4] = {0};
            input[0] = (int8_t)(10 * stream + step + 1);
            memcpy(rows_state(), kept[stream], ROWS_STATE_BYTES);
            rows_run(input, output);
            memcpy(kept[stream], rows_state(), ROWS_STATE_BYTES);
            printf("%d %d %d\\n", output[0], output[4], output[8]);
        }
    }
    rows_reset_state();
    rows_run((const int8_t[4]){77}, output);
    printf("%d %d %d\\n", output[0], output[4], output[8]);
    return 0;
}
"""


TWO_INSTANCES = """
#include <stdio.h>
#include "rows.h"
int main(void) {
    static struct rows streams[2];
    int8_t output[ROWS_OUTPUT_SIZE];
    int step, stream;

    rows_init_with(&streams[0]);
    rows_init_with(&streams[1]);
    for (step = 0; step < 3; step++) {
        for (stream = 0; stream < 2; stream++) {
            int8_t input[4] = {0};
            input[0] = (int8_t)(10 * stream + step + 1);
            rows_run_with(&streams[stream], input, output);
            printf("%d %d %d\\n", output[0], output[4], output[8]);
        }
    }
    rows_reset_state_of(&streams[1]);
    rows_run_with(&streams[1], (const int8_t[4]){77}, output);
    printf("%d %d %d\\n", output[0], output[4], output[8]);
    return 0;
}
"""


@pytest.mark.parametrize("instances", [False, True])
def test_one_network_follows_two_streams(instances, tmp_path):
    emitted.board_or_skip("host")
    shapes = {"x": (1, 4, 1), "rows": (2, 4, 1), "window": (3, 4, 1), "after": (2, 4, 1)}
    buffers = {name: p.Buffer(name, shape, "int8", 0.1, 0) for name, shape in shapes.items()}
    steps = (p.Concat("concat", ("rows", "x"), "window", 0, (None, None)), p.Crop("crop", ("window",), "after", (1, 0, 0)))
    first = np.array([[-1], [0], [0], [0], [-2], [0], [0], [0]], np.int8).reshape(2, 4, 1)
    outer = {name: shapes[name] for name in ("x", "window")}
    program = p.Program(
        "rows",
        "rows.test",
        "test",
        False,
        buffers,
        {},
        steps,
        ("x",),
        ("window",),
        outer,
        states=(p.State("rows", "after", first),),
    )
    project = codegen.emit(program, tmp_path / "project", name="rows", instances=instances)
    (tmp_path / "main.c").write_text(TWO_INSTANCES if instances else STREAMS)
    sources = [str(project.folder / file) for file in ("rows.c", "rows_params.c")]
    command = ["cc", "-std=c99", "-Wall", "-Werror", f"-I{project.folder}", f"-I{project.folder / 'kernels'}", *sources]
    subprocess.run([*command, str(tmp_path / "main.c"), "-o", str(tmp_path / "main")], check=True)
    said = subprocess.run([str(tmp_path / "main")], capture_output=True, text=True, check=True).stdout
    expected = []
    for step in range(3):
        for stream in range(2):
            numbers = [-1, -2, *(10 * stream + i + 1 for i in range(step + 1))]
            expected.append(numbers[step : step + 3])
    assert said.splitlines() == [" ".join(map(str, row)) for row in [*expected, [-1, -2, 77]]]


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_wake_words_over_the_link(board, shared_zoo, capsys, tmp_path):
    emitted.board_or_skip(board)
    path = shared_zoo / "mww_v2_vad.tflite"
    report = answer(capsys, "verify", path, "--board", board, "--samples", 30)
    assert (report["samples"], report["mismatches"], report["layers_compared"]) == (30, 0, 18)
    program = edgebn.load(path)
    codes = emitted.draw_codes(program, 20).reshape(20, *program.shapes[program.inputs[0]])
    np.save(tmp_path / "in.npy", codes)
    answer(capsys, "run", path, tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--board", board)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), edgebn.Session(program).run(codes))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_random_sequences_are_verified_over_the_link(dtype, tmp_path, capsys):
    emitted.board_or_skip("host")
    for number, (program, _) in enumerate(networks(dtype, 2)):
        edgebn.save(program, tmp_path / f"{number}.edgebn")
        report = answer(capsys, "verify", tmp_path / f"{number}.edgebn", "--board", "host", "--samples", 4)
        assert (report["samples"], report["mismatches"]) == (4, 0)
