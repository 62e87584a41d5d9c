"""What the user chooses about how a program is packed; results differ by rounding at most."""

from __future__ import annotations

from edgebn.quick_dataclass import dataclass

AUTO = "auto"  # for threads: as many as are found best


@dataclass(frozen=True)
class Options:
    """Choices of a session.

    Attributes
    ----------
    threads : int
        How many threads may share an inference.
    winograd : bool
        Whether convolutions may use Winograd's algorithm where it is faster.
    """

    threads: int = 1
    winograd: bool = True


DEFAULTS = Options()
