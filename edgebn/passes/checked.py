"""The last thing that happens to a program before it leaves the passes: it is checked whole, so that no fault of theirs runs."""

from __future__ import annotations

from edgebn.errors import ModelError
from edgebn.program import Program
from edgebn.program_check import check_program


def checked(program: Program) -> Program:
    """Return `program`, whose parts fit each other.

    Raises
    ------
    ModelError
        They do not: a fault of edgebn, not of the model.
    """
    try:
        check_program(program)
    except ModelError as error:
        raise ModelError(
            f"{program.source}: edgebn made a program that does not fit itself ({error}); this is a fault of edgebn, so please "
            "report it with the model"
        ) from None
    return program
