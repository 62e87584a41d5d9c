"""What emitted networks take: instructions, code, stack and library functions, counted exactly, against our own bars."""

import pytest

import boards
import codegen
import edgebn
from codegen.footprint import deepest, measure
from tests import emitted
from tests.conftest import TEST_ALL

CORES = ("mps2-an385-m0", "mps2-an385", "mps2-an386", "mps3-an547", "qemu-riscv32-virt")
# Million instructions of one inference, in the order of CORES; measured on 2026-11-26 and 2 % more.
MAX_INSTRUCTIONS = {
    "kws_int8.tflite": (15.6, 7.4, 4.2, 1.75, 10.9),
    "resnet8_int8.tflite": (61.0, 32.9, 16.6, 4.25, 46.1),
    "ad01_int8.tflite": (1.63, 0.85, 0.51, 0.092, 1.1),
}
QUICK = [("kws_int8.tflite", core) for core in CORES] + [("resnet8_int8.tflite", "mps2-an386")]
LIBRARY = {"memcpy", "memset", "memmove"}
CODE_BYTES = 16 * 1024
STACK_BYTES = 1024
# Arithmetic that a core has no instruction for; part of the compiler, not of the C library.
COMPILER = {"__aeabi_idiv", "__aeabi_idivmod", "__aeabi_uidiv", "__aeabi_uidivmod", "__aeabi_lmul"}


@pytest.mark.parametrize(("model", "core"), [(m, c) for m in MAX_INSTRUCTIONS for c in CORES] if TEST_ALL else QUICK)
def test_instructions_of_one_inference(model, core, shared_models, tmp_path):
    board = emitted.board_or_skip(core)
    _, said = emitted.check(edgebn.load(shared_models / model), tmp_path / "out", core, trace=False)
    assert board.timer.instructions(said.ticks) / 1e6 <= MAX_INSTRUCTIONS[model][CORES.index(core)]


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("model", MAX_INSTRUCTIONS)
def test_code_stack_and_library_functions(model, core, shared_models, tmp_path):
    board = emitted.board_or_skip(core)
    found = measure(codegen.emit(edgebn.load(shared_models / model), tmp_path), board)
    assert found.code <= CODE_BYTES
    assert found.stack <= STACK_BYTES
    assert set(found.calls) <= LIBRARY | (COMPILER if "m0" in core else set())


def test_the_arena_is_the_only_memory(shared_models, tmp_path):
    board = emitted.board_or_skip("mps2-an386")
    project = codegen.emit(edgebn.load(shared_models / "resnet8_int8.tflite"), tmp_path)
    assert measure(project, board).ram == project.arena_bytes


def graph(*edges, kinds=()):
    frames = {"run": 100, "a": 30, "b": 50}
    nodes = [
        f'node: {{ title: "{n}" label: "{n}\\nx.c:1:2\\n{s} bytes ({dict(kinds).get(n, "static")})" }}' for n, s in frames.items()
    ]
    return "\n".join([*nodes, *(f'edge: {{ sourcename: "{s}" targetname: "{t}" label: "x" }}' for s, t in edges)])


def test_the_deepest_path_counts():
    assert deepest(graph(("run", "a"), ("run", "b")), "run") == 150
    assert deepest(graph(("run", "a"), ("a", "b"), ("run", "memcpy")), "run") == 180
    assert deepest(graph(("b", "b"), ("run", "a")), "run") == 130


def test_what_has_no_bound_says_so():
    assert deepest(graph(("run", "a"), ("a", "run")), "run") is None
    assert deepest(graph(("run", "__indirect_call")), "run") is None
    assert deepest(graph(("run", "a"), kinds=[("a", "dynamic")]), "run") is None
    assert deepest(graph(("run", "a"), kinds=[("a", "dynamic,bounded")]), "run") == 130


def test_a_compiler_that_is_missing_is_named(shared_models, tmp_path, monkeypatch):
    project = codegen.emit(edgebn.load(shared_models / "ad01_int8.tflite"), tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(edgebn.BoardError, match="arm-none-eabi-gcc is not installed"):
        measure(project, boards.load("mps2-an386"))
