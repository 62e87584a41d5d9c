"""What to use instead of operators of ONNX and PyTorch that edgebn does not run, said alike for both formats."""

from __future__ import annotations

LOOP = "edgebn runs no loops; write it out, or use an LSTM, GRU or RNN"

# By the name in small letters, without underscores, 'normalization' cut to 'norm'.
HINTS = {
    "loop": LOOP,
    "scan": LOOP,
}


def hint(name: str) -> str:
    """Return what to do about an operator that no reader has."""
    key = name.replace("_", "").lower().replace("normalization", "norm")
    return HINTS.get(key, "docs/formats.md lists those that it runs")
