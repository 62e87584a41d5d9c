"""`json.loads` without the package `json`, which a start would import for it alone: five regular expressions are compiled there.

The scanner in C is the interpreter's own; the package adds white space around a value, and its messages. Wherever the scanner does
not take the whole text, or is not there, the package is asked.
"""

from __future__ import annotations

from typing import Any

SPACE = " \t\n\r"


class _Settings:
    """What `json.JSONDecoder` tells the scanner by default, but for NaN and the like, which are left to the package."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int

    @staticmethod
    def parse_constant(name: str) -> Any:
        """Refuse."""
        raise ValueError(name)


def loads(text: str) -> Any:
    """Return what a text in JSON says.

    Raises
    ------
    ValueError
        It is none.
    """
    text = text.strip(SPACE)
    try:
        from _json import make_scanner

        value, end = make_scanner(_Settings)(text, 0)  # type: ignore[arg-type]  # one that it only reads
        if end == len(text):
            return value
    except (ImportError, StopIteration, ValueError, AttributeError, TypeError):
        pass
    import json

    return json.loads(text)
