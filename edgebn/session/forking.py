"""Sessions in a process that was forked: it inherits them in the middle of whatever other threads did, but not those threads.

Locks that they held would never be given back. Knows sessions by one method only, and nothing of what they hold.
"""

from __future__ import annotations

import functools
import os
import weakref
from _thread import RLock  # all that a start needs of `threading`
from typing import Any, Protocol

from edgebn.errors import EdgebnError


class Inheritable(Protocol):
    """What can be made usable again in a forked process, before any of its threads uses it."""

    def inherit(self) -> None:
        """Give back what threads held that are not there any more."""


class Lost:
    """In place of the lock of what a fork left half-written: whoever asks for it is told.

    Parameters
    ----------
    what : str
        Where it comes from, for messages.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Refuse.

        Raises
        ------
        EdgebnError
        """
        raise EdgebnError(
            f"{self._what}: this process was forked while another thread wrote new statistics or states into the session, and "
            "only half of them are there; make a new Session and Adapter in this process"
        )

    def __exit__(self, *_: object) -> None:
        """Nothing was taken."""


_INHERITED: weakref.WeakSet[Any] = weakref.WeakSet()
_WITH_LOCKS: set[type] = set()  # classes whose cached properties have locks (Python 3.11)


def inherited_by_forks(one: Inheritable, *classes: type) -> None:
    """Let forked processes call `one.inherit()`, and free the cached properties of `classes`."""
    _INHERITED.add(one)
    _WITH_LOCKS.update(classes)


def _inherit() -> None:
    for cls in _WITH_LOCKS:
        for member in vars(cls).values():
            if isinstance(member, functools.cached_property) and hasattr(member, "lock"):
                member.lock = RLock()
    for one in list(_INHERITED):
        one.inherit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_inherit)
