"""The recipes name files that exist, and tables in which the example of docs/adding-an-operation.md, Multiply, has its line."""

import re
from pathlib import Path

import pytest

from edgebn.kernels import isa, vectors

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "adding-an-operation.md").read_text(encoding="utf-8")
TABLE = re.compile(r"`(\w+)` of\s+`((?:edgebn|codegen)/[\w/]+\.py)`")


@pytest.mark.parametrize("page", ["adding-an-operation", "adding-an-instruction-set"])
def test_every_file_exists(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:edgebn|codegen|tests|benchmarks)/[\w/.]*)`", text)
    assert len(paths) > 7
    for path in paths:
        assert (ROOT / path).exists(), path


def test_multiply_has_its_line_in_every_table():
    tables = TABLE.findall(TEXT)
    assert len(tables) >= 7
    for name, path in tables:
        lines = (ROOT / path).read_text(encoding="utf-8").split(f"\n{name}: ", 1)[1].split("\n}\n")[0]
        assert re.search("multiply", lines, re.IGNORECASE), f"{name} of {path}"


def test_every_instruction_set_has_its_products():
    for found in isa.INSTRUCTION_SETS:
        if found.dot:
            assert vectors.Dot(found.dot, found.lanes).weight_vectors in (1, 2)
