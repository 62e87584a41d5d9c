"""MLPerf Tiny's protocol: our firmware under a host that speaks as the benchmark's own runner does, here and on a Cortex-M4F."""

import re
import subprocess

import numpy as np
import pytest

import codegen
import edgebn
from boards import emulator, toolchain
from codegen import kernels
from edgebn import reference
from edgebn.cli.main import main
from edgebn.errors import ModelError, UsageError
from tests import emitted
from tests.boards.mlperf_runner import Runner
from tests.codegen.test_codegen_kernels import drawn
from tests.programs import programs

BOARDS = ["host", "mps2-an386"]
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def build(program, board, folder):
    project = codegen.emit(program, folder / "project", board=board.name, main="mlperf")
    include = [project.folder, project.folder / "kernels", project.folder / "service"]
    flags = SANITIZERS if board.kind == "host" else ()
    return toolchain.build(board, emitted.network_sources(project), folder / "build", include=include, flags=flags)


@pytest.fixture
def runner(shared_models, tmp_path):
    """Return a function: (model file or program, board) to a Runner that has read the banner."""
    with_statements = []

    def start(model, board_name):
        board = emitted.board_or_skip(board_name)
        program = edgebn.load(shared_models / model) if isinstance(model, str) else model
        running = emulator.start(board, build(program, board, tmp_path))
        with_statements.append(running)
        line = Runner(running.__enter__().url)
        with_statements.append(line)
        return program, line.__enter__()

    yield start
    for statement in reversed(with_statements):
        statement.__exit__(None, None, None)


def outputs(program, x):
    """Return the reference's real outputs for one input in the program's dtype."""
    name = program.inputs[0]
    values = reference.run_steps(program, {name: x.reshape(program.buffers[name].shape)})[program.outputs[0]]
    buffer = program.buffers[program.outputs[0]]
    return (reference.dequantize(values, buffer) if buffer.dtype == "int8" else values).reshape(-1)


@pytest.mark.parametrize("board", BOARDS)
def test_the_runner_drives_keyword_spotting(board, runner):
    program, host = runner("kws_int8.tflite", board)
    assert host.banner[0] == "m-timestamp-mode-performance"
    assert re.fullmatch(r"m-lap-us-\d+", host.banner[1])
    assert host.banner[2:] == ["m-init-done"]
    assert host.name() == f"edgebn on {board}"
    assert host.profile() == ("ULPMark for tinyML Firmware V0.0.1", "kws01")
    codes = np.random.default_rng(4).integers(-128, 128, (2, 490)).astype(np.int8)
    for x in codes:
        assert host.load(x.tobytes()) == ["m-load-done"]
        results, once = host.infer(1, 0)
        np.testing.assert_allclose(results, outputs(program, x), atol=0.00051)
        again, thrice = host.infer(3, 2)  # the input is still there, and unchanged
        assert again == results
        assert host.send("results") == [f"m-results-[{','.join(f'{value:.3f}' for value in results)}]"]
        if board != "host":  # its clock is the instructions that were executed: 64 ns each
            assert abs(thrice - 3 * once) < 0.01 * thrice


def test_the_runner_drives_image_classification_with_pixels(runner):
    program, host = runner("resnet8_int8.tflite", "host")
    assert host.profile()[1] == "ic01"
    pixels = np.random.default_rng(5).integers(0, 256, 32 * 32 * 3).astype(np.uint8)
    host.load(pixels.tobytes())
    expected = outputs(program, (pixels.astype(np.int16) - 128).astype(np.int8))
    np.testing.assert_allclose(host.infer(1, 1)[0], expected, atol=0.00051)
    assert host.send("db print")[0] == "m-buffer-" + "-".join(f"{byte:02x}" for byte in pixels[:8])


@pytest.mark.parametrize("board", BOARDS)
def test_the_runner_drives_anomaly_detection_with_real_numbers(board, runner):
    program, host = runner("ad01_int8.tflite", board)
    assert host.profile()[1] == "ad01"
    buffer = program.buffers[program.inputs[0]]
    rng = np.random.default_rng(6)
    real = (buffer.scale * rng.uniform(-160, 160, 640)).astype(np.float32)  # some beyond the codes
    real[:64] = np.float32(buffer.scale) * (np.arange(64, dtype=np.float32) - 32 + np.float32(0.5))  # and ties
    host.load(real.astype("<f4").tobytes())
    made = outputs(program, reference.quantize_real(real.reshape(buffer.shape), buffer))
    score = np.mean((real.astype(np.float64) - made) ** 2)
    np.testing.assert_allclose(host.infer(1, 0)[0], [score], rtol=1e-4)


def test_the_runner_drives_float_networks(runner):
    program, host = runner("kws_float.tflite", "host")
    x = np.random.default_rng(7).standard_normal(490).astype(np.float32)
    host.load(x.tobytes())
    np.testing.assert_allclose(host.infer(1, 0)[0], outputs(program, x), atol=0.00051)


def test_the_runner_drives_a_float_network_with_pixels(runner):
    program, host = runner("resnet8_float.tflite", "host")
    pixels = np.random.default_rng(8).integers(0, 256, 32 * 32 * 3).astype(np.uint8)
    host.load(pixels.tobytes())
    np.testing.assert_allclose(host.infer(1, 0)[0], outputs(program, pixels.astype(np.float32)), atol=0.00051)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("", []),
        ("  ", []),
        ("nonsense 3", ["e-[Unknown command: nonsense]"]),
        ("nam", ["e-[Unknown command: nam]"]),
        ("names", ["e-[Unknown command: names]"]),
        ("db", ["e-[Command 'db' requires a subcommand]"]),
        ("db load", ["e-[Command 'db load' requires the # of bytes]"]),
        ("db load 0", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load -1", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load 99999999999999", ["e-[Command 'db load' must be >0 bytes]"]),
        ("db load 491", ["e-[Supplied buffer size exceeds maximum of 490]"]),
        ("db 123", ["e-[Insufficient number of hex digits]"]),
        ("db 0x", ["e-[Invalid hex digits]"]),
        ("db 00", ["e-[Bytes without 'db load']"]),
        ("db print", []),
        ("infer 0", ["e-[Inference iterations must be >0]"]),
        ("infer x", ["e-[Inference iterations must be >0]"]),
        ("infer 1 -1", ["e-[Inference warmup must be >=0]"]),
        ("infer 1", ["e-[Input db must have bytes: 490]"]),
        ("results", ["e-[No inference yet]"]),
        ("x" * 80, ["e-[Unknown command: " + "x" * 80 + "]"]),
        ("x" * 81, ["e-[Command too long]"]),
        ("x" * 5000, ["e-[Command too long]"]),
        ("db load 3", ["m-[Expecting 3 bytes]"]),
    ],
)
def test_what_cannot_be_done_is_said(device, command, answer):
    assert device.send(command) == answer
    assert device.name() == "edgebn on host"


@pytest.fixture(scope="module")
def device(shared_models, tmp_path_factory):
    board = emitted.board_or_skip("host")
    elf = build(edgebn.load(shared_models / "kws_int8.tflite"), board, tmp_path_factory.mktemp("kws"))
    with emulator.start(board, elf) as running, Runner(running.url) as host:
        yield host


def test_loading_a_part_and_too_much(device):
    device.send("db load 3")
    assert device.send("db 0102") == []
    assert device.send("db aAfF09") == ["m-load-done"]  # digits beyond the last byte are disregarded
    assert device.send("db print") == ["m-buffer-01-02-aa"]
    assert device.send("db print 2") == ["m-buffer-01-02"]
    assert device.send("db print 2 1") == ["m-buffer-02-aa"]
    assert device.send("db print 1 2") == ["m-buffer-aa"]
    for asked in ("4", "3 1", "1 3", "4294967295 1", "1 4294967295"):
        assert device.send(f"db print {asked}") == ["e-[Command 'db print' exceeds the bytes that were loaded: 3]"]
    assert device.send("db print 0") == ["e-[Command 'db print' must be >0 bytes]"]
    assert device.send("db print x") == ["e-[Command 'db print' must be >0 bytes]"]
    assert device.send("db print 1 x") == ["e-[Command 'db print' offset must be >=0]"]
    assert device.send("infer 1") == ["e-[Input db must have bytes: 490]"]
    device.send("db load 490")  # forgets what was there
    assert device.send("db print") == []


def test_help_names_every_command(device):
    text = "\n".join(device.send("help"))
    assert text.startswith("ULPMark for tinyML Firmware V0.0.1")
    for word in ("help", "name", "profile", "timestamp", "db load N", "db HH", "db print [N [O]]", "infer N [W]", "results"):
        assert word in text


def test_timestamps_never_go_back(device):
    times = [int(device.send("timestamp")[0].removeprefix("m-lap-us-")) for _ in range(5)]
    assert times == sorted(times)


def test_a_timestamp_is_64_bits_wide_and_exact(tmp_path):
    source = tmp_path / "clock.c"
    source.write_text(
        """#include "edgebn_mlperf.h"
#include <stddef.h>
#include <stdio.h>
static uint64_t now;
static uint64_t ticks(void) { return now; }
static void put(uint8_t byte) { putchar(byte); }
int main(void) {
    static const uint64_t moments[] = {0, 24, 25, 4294967296u, 107374182400000u, 18446744073709551615u};
    static struct edgebn_mlperf served;
    static const struct edgebn_mlperf_model model = {.ticks = ticks, .ticks_per_second = 25000000, .put = put};
    size_t i;
    for (i = 0; i < sizeof moments / sizeof *moments; i++) {
        now = moments[i];
        edgebn_mlperf_init(&served, &model);
    }
    return 0;
}
"""
    )
    library = kernels.LIBRARY
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", *SANITIZERS, f"-I{library}"]
    subprocess.run([*command, str(source), str(library / "edgebn_mlperf.c"), "-o", str(tmp_path / "clock")], check=True)
    said = subprocess.run([str(tmp_path / "clock")], capture_output=True, text=True, check=True).stdout
    moments = [0, 24, 25, 2**32, 25_000_000 * 2**32 // 1000, 2**64 - 1]
    assert [int(us) for us in re.findall(r"m-lap-us-(\d+)", said)] == [ticks // 25 for ticks in moments]


def test_energy_mode_says_timestamps_by_the_pin(shared_models, tmp_path):
    """9600 baud, no time in words, and the pin low twice around the inferences; what is filled in for the pin stays."""
    board = emitted.board_or_skip("host")
    program = edgebn.load(shared_models / "kws_int8.tflite")
    options = {"board": "host", "main": "mlperf-energy"}
    folder = tmp_path / "project"
    codegen.emit(program, folder, **options)
    (folder / "board/timing_pin.c").write_text(
        '#include "timing_pin.h"\n#include "board.h"\n'
        "static void say(const char *text) {\n    while (*text != 0) {\n        board_put((uint8_t)*text++);\n    }\n}\n"
        'void timing_pin_low(void) { say("LOW\\r\\n"); }\nvoid timing_pin_high(void) { say("HIGH\\r\\n"); }\n'
    )
    project = codegen.emit(program, folder, **options)
    assert project.kept == ("board/timing_pin.c",)
    assert "#define BOARD_BAUD 9600u" in (folder / "board/board_config.h").read_text()
    sources = [*emitted.network_sources(project), folder / "board/timing_pin.c"]
    elf = toolchain.build(board, sources, tmp_path / "build", include=[folder / "board"])
    with emulator.start(board, elf) as running, Runner(running.url, energy=True) as host:
        assert host.banner == ["HIGH", "m-timestamp-mode-energy", "LOW", "HIGH", "m-init-done"]
        host.load(bytes(490))
        lines = host.send("infer 2 1")
        start, end = lines.index("m-infer-start-2"), lines.index("m-infer-done")
        assert lines[start + 1 : end] == ["LOW", "HIGH", "LOW", "HIGH"]
        assert "m-lap-us" not in "".join(lines)
        assert host.send("timestamp") == ["LOW", "HIGH"]


def test_the_speed_of_the_line_can_be_chosen(shared_models, tmp_path, capsys):
    call = ["generate", str(shared_models / "kws_int8.tflite"), "-o", str(tmp_path), "--main", "mlperf", "--baud", "921600"]
    assert main([*call, "--board", "nucleo-f446re"]) == 0
    assert "#define BOARD_BAUD 921600u" in (tmp_path / "board/board_config.h").read_text()
    assert main(call) == 2
    assert "--baud" in capsys.readouterr().err
    for speed in ("4000000", "200"):
        assert main([*call[:-1], speed, "--board", "nucleo-f446re"]) == 2
        assert f"cannot have {speed} baud" in capsys.readouterr().err


def test_a_speed_that_nothing_sets_is_refused(shared_models, tmp_path):
    with pytest.raises(UsageError, match="esp32-c3 has 115200 baud and no other speed"):
        codegen.emit(edgebn.load(shared_models / "kws_int8.tflite"), tmp_path, "esp32-c3", main="mlperf-energy")


def test_a_network_with_several_inputs_is_refused(tmp_path):
    several = next(program for program, _ in drawn(programs("int8"), 60) if len(program.inputs) > 1 or len(program.outputs) > 1)
    with pytest.raises(ModelError, match="networks with one input and one output"):
        codegen.emit(several, tmp_path / "out", main="mlperf")
    with pytest.raises(
        ModelError, match="there is no main program 'benchmark'; choose one of self-test, link, mlperf, mlperf-energy"
    ):
        codegen.emit(several, tmp_path / "out", main="benchmark")
    assert not (tmp_path / "out").exists()
