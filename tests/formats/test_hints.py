"""What the readers of ONNX and PyTorch say of operators that they do not run."""

from importlib import import_module

import pytest

from edgebn.formats.hints import HINTS, hint


@pytest.mark.parametrize("reader", ["onnx", "torch"])
def test_no_hint_is_for_an_operator_that_is_run(reader):
    if reader == "onnx":
        pytest.importorskip("onnx", reason="onnx is not installed")
    operators = import_module(f"edgebn.formats.{reader}.table").OPERATORS
    # ONNX's Sum adds values; PyTorch's, for which the hint is, adds up axes.
    assert [name for name in operators if hint(name) in HINTS.values() and name != "Sum"] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Scan", "runs no loops"),
        ("Anything", "docs/formats.md lists"),
    ],
)
def test_hints_are_found_under_the_names_of_both_formats(name, words):
    assert words in hint(name)
    assert len(hint(name)) < 100
