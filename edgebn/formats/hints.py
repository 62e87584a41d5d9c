"""What to use instead of operators of ONNX and PyTorch that edgebn does not run, said alike for both formats."""

from __future__ import annotations

FEED_FORWARD = "edgebn runs feed-forward networks"

# By the name in small letters, without underscores, 'normalization' cut to 'norm'.
HINTS = {
    "gru": FEED_FORWARD,
    "loop": FEED_FORWARD,
    "lstm": FEED_FORWARD,
    "rnn": FEED_FORWARD,
    "scan": FEED_FORWARD,
}


def hint(name: str) -> str:
    """Return what to do about an operator that no reader has."""
    key = name.replace("_", "").lower().replace("normalization", "norm")
    return HINTS.get(key, "docs/formats.md lists those that it runs")
