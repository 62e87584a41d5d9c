"""Lets Python's search for cycles wait while many lasting objects are made, which it would look through again and again.

A start makes tens of thousands and leaves no cycles that matter; the search takes a thirtieth of it, and another when it goes on.
So all that was made then counts as old, and is looked through when everything is.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_gc(*, wanted: bool = True) -> Iterator[None]:
    """Search for no cycles until the end, if that is wanted; where the user turned the search off, it stays off."""
    pauses = wanted and gc.isenabled()
    if pauses:
        gc.disable()
    try:
        yield
        if pauses:
            _make_old()
    finally:
        if pauses:
            gc.enable()


def _make_old() -> None:
    """Move all objects to the oldest generation, unless the user keeps some out of all: both ways are through there."""
    if gc.get_freeze_count() == 0:
        gc.freeze()
        gc.unfreeze()
