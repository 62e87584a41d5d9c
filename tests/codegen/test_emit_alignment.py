"""Alignment in emitted C: said wherever an aligned array is declared, not only where it is defined.

Clang on x86-64 takes any array of 16 bytes or more to begin at a multiple of 16, as the ABI has it, unless the declaration that it
sees says otherwise: programs whose declarations did not crashed.
"""

import re
from dataclasses import replace

import numpy as np
import pytest

import boards
import codegen
import edgebn
from boards import toolchain
from edgebn import layers as nn
from edgebn.graph import GraphBuilder
from edgebn.passes import lower
from tests import emitted
from tests.demo_model import demo_images, demo_int8

# Anything that aligns, in front of a name that ends a definition at file scope.
ALIGNMENT = re.compile(r"\b\w*ALIGN\w*\b|__attribute__\s*\(\(\s*aligned\b[^)]*\)\)+|\b_Alignas\b")
STATEMENT = re.compile(r"^(?!\s)([^;{}#/]*?\b(\w+)\s*\[[^\]]*\])\s*(=|;)", re.MULTILINE)


def dense(inputs, outputs, dtype):
    """Return a network of one dense layer."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder("dense", "dense.file", "keras", False)
    x = builder.add_input("x", (inputs,))
    weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((outputs, inputs), (outputs,)))
    graph = builder.finish([builder.add(nn.Dense("dense", (x,), "y", weight, bias))])
    program = lower(graph)
    return program if dtype == "float32" else edgebn.quantize(program, rng.standard_normal((20, inputs)).astype(np.float32))


def misdeclared(files):
    """Return the arrays with an alignment of their own that some declaration does not repeat, and how many have one."""
    aligned, declared = {}, {}
    for text in files.values():
        for head, name, end in STATEMENT.findall(text):
            said = ALIGNMENT.findall(head)
            if head.startswith("extern"):
                declared.setdefault(name, []).append(said)
            elif end == "=" and said and not head.startswith("static"):
                aligned[name] = said
    wrong = [name for name, said in aligned.items() if any(one != said for one in declared.get(name, [[]]))]
    return wrong, len(aligned)


KINDS = {
    "float32": lambda: (dense(8, 5, "float32"), {}),
    "int8": lambda: (dense(8, 5, "int8"), {}),
    "link": lambda: (dense(8, 5, "int8"), {"main": "link"}),
    "adapting": lambda: (edgebn.adaptable(demo_int8(), demo_images()[0][:50]), {"main": "link", "adapt": True}),
    "mlperf": lambda: (dense(8, 5, "int8"), {"main": "mlperf"}),
    "parameters": lambda: (dense(8, 5, "int8"), {"params_only": True}),
    "cmsis-nn": lambda: (dense(8, 5, "int8"), {"params_only": True, "layout": "cmsis-nn"}),
    "float parameters": lambda: (dense(8, 5, "float32"), {"params_only": True}),
}


@pytest.mark.parametrize("board", ["host", "mps2-an386", "qemu-riscv32-virt", "rpi-pico"])
@pytest.mark.parametrize("kind", KINDS)
def test_declarations_repeat_the_alignment_of_definitions(kind, board, tmp_path):
    program, options = KINDS[kind]()
    project = codegen.emit(program, tmp_path / "out", board=board, **options)
    files = {file: (project.folder / file).read_text() for file in project.files if file.endswith((".c", ".h"))}
    wrong, count = misdeclared(files)
    assert count > 0
    assert not wrong


def test_a_declaration_without_alignment_is_found():
    """The check itself."""
    defined = "ALIGN const int8_t a[3] = {1, 2, 3};\n"
    assert misdeclared({"a.c": defined, "a.h": "extern const int8_t a[3];\n"}) == (["a"], 1)
    assert misdeclared({"a.c": defined, "a.h": "extern ALIGN const int8_t a[3];\n"}) == ([], 1)
    assert misdeclared({"a.c": "const int8_t a[3] __attribute__((aligned(8))) = {1};"}) == ([], 0)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 5), (16, 5), (8, 9), (24, 5)])
def test_clang_makes_programs_that_run(inputs, outputs, dtype, tmp_path):
    clang = replace(boards.load("host"), compiler="clang")
    if not toolchain.has_compiler(clang):
        pytest.skip("clang is not installed")
    project = codegen.emit(dense(inputs, outputs, dtype), tmp_path / "out", name="net")
    assert emitted.outcome(clang, emitted.build(project, clang, trace=False)).status == 0
