"""What tests of several threads share."""

import pytest

from edgebn.session import bands, branches, merging, pace, shares, splitting


@pytest.fixture
def eager(monkeypatch):
    """Split everything that has two units, and share every call."""
    monkeypatch.setattr(bands, "MIN_MACS", {"float32": 1, "int8": 1, "int16": 1})
    monkeypatch.setattr(bands, "MIN_PROGRAM_MACS", {"float32": 0, "int8": 0, "int16": 0})
    monkeypatch.setattr(shares, "MIN_SHARE", 1e-3)
    monkeypatch.setattr(splitting, "MIN_GAIN", 0.0)
    monkeypatch.setattr(pace.Pace, "shares", True)


@pytest.fixture
def everything(monkeypatch):
    """Put in one phase all that may be."""
    monkeypatch.setattr(merging, "MIN_GAIN", -1e9)
    monkeypatch.setattr(merging, "MIN_FRACTION", -1e9)


@pytest.fixture
def in_order(monkeypatch):
    """Plan memory for one step after the other."""
    monkeypatch.setattr(branches, "kept_apart", lambda program, roots, requests, scratch, threads: (requests, scratch))
