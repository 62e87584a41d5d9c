"""docs/formats.md lists exactly the layers that the readers' tables hold."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"


def listed(heading):
    """Return the names in the second column of the section's table."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}", 1)[1].split("\n## ")[0]
    cells = re.findall(r"^\| [^|]+ \| (.*) \|$", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+(?: \w+)?)`", cell)}


def test_keras_classes():
    pytest.importorskip("h5py", reason="h5py is not installed")
    from edgebn.formats.keras.table import LAYERS

    assert listed("Keras") == set(LAYERS)


def test_onnx_operators():
    pytest.importorskip("onnx", reason="onnx is not installed")
    from edgebn.formats.onnx.table import OPERATORS

    assert listed("ONNX") == set(OPERATORS)


def test_torch_operators():
    from edgebn.formats.torch.table import OPERATORS

    assert listed("PyTorch") == set(OPERATORS)


def test_tflite_operators():
    from edgebn.formats.tflite.operators import OPERATORS

    assert listed("TensorFlow Lite") == set(OPERATORS)
