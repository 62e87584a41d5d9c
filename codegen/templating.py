"""The text files in `codegen/templates`: $name stands for a value."""

from __future__ import annotations

from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent / "templates"


def fill(file: str, **values: object) -> str:
    """Return a template with every $name replaced; a name without a value is a KeyError."""
    return Template((FOLDER / file).read_text(encoding="utf-8")).substitute(values)
