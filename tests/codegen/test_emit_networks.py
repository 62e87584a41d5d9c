"""The benchmark networks on every emulated core: every byte of every layer is the reference's, in the memory that was promised."""

import numpy as np
import pytest

import boards
import edgebn
from tests import emitted
from tests.conftest import TEST_ALL

CORES = ["host", "mps2-an385-m0", "mps2-an385", "mps2-an386", "mps3-an547", "qemu-riscv32-virt"]
MORE_CORES = ["mps2-an500", "mps2-an505"]
# Samples on the M4F, and on every other core.
SAMPLES = {"kws_int8.tflite": (100, 10), "resnet8_int8.tflite": (20, 3), "ad01_int8.tflite": (20, 5)}
OWN = {"kws.keras": (100, 10), "resnet8.h5": (20, 3), "ad01.h5": (20, 5)}
ARENA_BYTES = {"kws": 9_500, "resnet8": 33_500, "ad01": 800}


@pytest.fixture(scope="session")
def codes(shared_data):
    """Recorded inputs and drawn ones in turn."""

    def draw(program, count):
        drawn = emitted.draw_codes(program, count)
        if program.name == "kws" or "kws_int8" in program.source:
            drawn[::2] = np.load(shared_data / "kws_dev.npz")["x"][: -(-count // 2)]
        return drawn

    return draw


def check_bytes(model, program, board, samples, folder):
    project, _ = emitted.check(program, folder, board, samples)
    assert project.arena_bytes <= ARENA_BYTES[model.split(".")[0].removesuffix("_int8")]
    assert project.arena_bytes == project.arena_lower_bound


@pytest.mark.parametrize("board", CORES + (MORE_CORES if TEST_ALL else []))
@pytest.mark.parametrize("model", SAMPLES)
def test_every_layer_of_a_file_quantised_elsewhere(model, board, shared_models, codes, tmp_path):
    program = edgebn.load(shared_models / model)
    count = SAMPLES[model][board != "mps2-an386"]
    check_bytes(model, program, board, codes(program, count), tmp_path / "out")


@pytest.fixture(scope="session")
def quantised(shared_models, shared_data):
    """The same networks quantised by us, each once."""
    made = {}

    def calibration(model, program):
        if model.startswith("kws"):
            return (np.load(shared_data / "kws_dev.npz")["x"][:100].astype(np.float32) - 83) * np.float32(0.5847029)
        if model.startswith("resnet8"):
            return np.load(shared_data / "cifar10_dev.npz")["x_train"][:100].astype(np.float32)
        shape = program.buffers[program.inputs[0]].shape
        return (np.random.default_rng(3).standard_normal((100, shape[2])) * 10).astype(np.float32)

    def quantise(model):
        if model not in made:
            program = edgebn.load(shared_models / model)
            made[model] = edgebn.quantize(program, calibration(model, program))
        return made[model]

    return quantise


@pytest.mark.parametrize("board", CORES + MORE_CORES if TEST_ALL else ["mps2-an386", "mps3-an547"])
@pytest.mark.parametrize("model", OWN)
def test_every_layer_of_a_network_quantised_by_us(model, board, quantised, codes, tmp_path):
    program = quantised(model)
    count = OWN[model][board != "mps2-an386"] if TEST_ALL else 5
    check_bytes(model, program, board, codes(program, count), tmp_path / "out")


@pytest.mark.parametrize("board", ["mps2-an386", "mps3-an547", "qemu-riscv32-virt"])
def test_a_float_network_runs_on_a_core(board, shared_models, tmp_path):
    emitted.check(edgebn.load(shared_models / "kws_float.tflite"), tmp_path / "out", board, trace=False)


def test_every_core_here_has_a_board():
    assert {boards.load(name).core for name in CORES} == {"host", "Cortex-M0", "Cortex-M3", "Cortex-M4F", "Cortex-M55", "RV32IMAC"}
