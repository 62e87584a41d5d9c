"""Sessions: a program packed for the Numba kernels, and run. Nothing here computes; nothing here knows files or graphs."""

from edgebn.session.session import Session

__all__ = ["Session"]
