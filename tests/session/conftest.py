"""What tests of several threads share."""

import pytest

from edgebn.session import bands, pace, shares, splitting


@pytest.fixture
def eager(monkeypatch):
    """Split everything that has two units, and share every call."""
    monkeypatch.setattr(bands, "MIN_MACS", {"float32": 1, "int8": 1, "int16": 1})
    monkeypatch.setattr(bands, "MIN_PROGRAM_MACS", {"float32": 0, "int8": 0, "int16": 0})
    monkeypatch.setattr(shares, "MIN_SHARE", 1e-3)
    monkeypatch.setattr(splitting, "MIN_GAIN", 0.0)
    monkeypatch.setattr(pace.Pace, "shares", True)
