"""The recipes name files and tests that exist, and every table that has a row for the example of the recipe, Multiply."""

import re
from pathlib import Path

import pytest

from edgebn.kernels import isa, vectors
from tests.test_tables import LAYER_TABLES, STEP_TABLES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "adding-an-operation.md").read_text(encoding="utf-8")
TABLE = re.compile(r"`(\w+)`(?: and `(\w+)`)?\s+of\s+`((?:edgebn|codegen|tests)/[\w/]+\.py)`")
# Tables that Multiply needs no row in: it has no weights, Keras runs it, adaptation does not look behind it; that of the onnx
# package's tests and the kinds of steps name it in other words.
WITHOUT = {"WEIGHTS", "_NAMES", "BACKWARD"}
OTHER_WORDS = {"OPERATORS": "mul", "KINDS": "PURE"}


def tables():
    """Return (name, path) of every table that the recipe names."""
    return [(name, path) for *names, path in TABLE.findall(TEXT) for name in names if name]


@pytest.mark.parametrize("page", ["adding-an-operation", "adding-an-instruction-set"])
def test_every_file_exists(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:edgebn|codegen|tests|benchmarks)/[\w/.]*)`", text)
    assert len(paths) > 7
    for path in paths:
        assert (ROOT / path).exists(), path


def test_multiply_has_its_line_in_every_table():
    assert len(tables()) >= 18
    for name, path in tables():
        text = (ROOT / path).read_text(encoding="utf-8")
        (lines,) = re.findall(rf"^{name}(?:: [^=]+)? = (.*?\n(?=\S)[)}}\]\"]*|\S.*\n)", text, re.MULTILINE | re.DOTALL)
        word = OTHER_WORDS.get(name, "multiply")
        assert bool(re.search(word, lines, re.IGNORECASE)) != (name in WITHOUT), f"{name} of {path}"


def test_every_table_with_a_row_a_step_or_layer_is_named():
    named = {(name, path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")) for name, path in tables()}
    assert {*STEP_TABLES, *LAYER_TABLES} <= named


def test_a_function_of_one_number_is_a_row_in_nine_places_at_most():
    """Where the name of one stands in the product: formula, kernel, C, and each reader whose format has it."""
    paths = [path for room in ("edgebn", "codegen") for kind in ("*.py", "*.h") for path in (ROOT / room).rglob(kind)]
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    for name in ("mish", "sin", "cos", "selu"):
        rows = [line for line in lines if re.search(rf'"{name}"|def {name}\b|APPLY_F32\({name}\b|edgebn_{name}_f32\(', line)]
        assert 5 <= len(rows) <= 9, (name, rows)


def test_every_step_of_the_recipe_is_tested_by_files_that_exist():
    commands = re.findall(r"^ +python -m pytest (.+)$", TEXT, re.MULTILINE)
    assert len(commands) >= 7
    for command in commands:
        for path in command.split():
            assert (ROOT / path).is_file(), path


def test_every_instruction_set_has_its_products():
    for found in isa.INSTRUCTION_SETS:
        if found.dot:
            assert vectors.Dot(found.dot, found.lanes).weight_vectors in (1, 2)
