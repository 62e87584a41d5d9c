"""docs/adding-an-operation.md names files that exist, and tables in which its example, Multiply, really has its line."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "adding-an-operation.md").read_text(encoding="utf-8")
TABLE = re.compile(r"`(\w+)` of\s+`((?:edgebn|codegen)/[\w/]+\.py)`")


def test_every_file_exists():
    paths = re.findall(r"`((?:edgebn|codegen|tests)/[\w/.]*)`", TEXT)
    assert len(paths) > 10
    for path in paths:
        assert (ROOT / path).exists(), path


def test_multiply_has_its_line_in_every_table():
    tables = TABLE.findall(TEXT)
    assert len(tables) >= 7
    for name, path in tables:
        lines = (ROOT / path).read_text(encoding="utf-8").split(f"\n{name}: ", 1)[1].split("\n}\n")[0]
        assert re.search("multiply", lines, re.IGNORECASE), f"{name} of {path}"
