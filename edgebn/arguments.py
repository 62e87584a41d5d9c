"""What users hand over in place of a program, a session or a path, and how they are told. Knows nothing of files or engines."""

from __future__ import annotations

import operator
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NoReturn

from edgebn.errors import ModelError
from edgebn.program import Program


def checked_program(given: object, caller: str) -> Program:
    """Return a program, or refuse what is none with the way from it to one.

    Parameters
    ----------
    given : object
        What the user passed.
    caller : str
        The public function, for the message: 'edgebn.Session'.

    Raises
    ------
    ModelError
    """
    if not isinstance(given, Program):
        _refuse(given, caller, "a program as edgebn.load returns it", "{}")
    return given


def refuse_session(given: object, caller: str) -> NoReturn:
    """Refuse what is no session, with the way from it to one.

    Raises
    ------
    ModelError
    """
    _refuse(given, caller, "a session", "edgebn.Session({})")


def _refuse(given: object, caller: str, wanted: str, way: str) -> NoReturn:
    hint = ""
    if isinstance(given, str | PathLike):
        hint = "; load the file first: " + _call(caller, way.format(f"edgebn.load({fspath(given)!r})"))
    elif isinstance(given, Program):
        hint = "; make one first: " + _call(caller, way.format("program"))
    elif _is_torch_module(given):
        hint = "; make a program of the module first: " + _call(caller, way.format("edgebn.from_torch(module, example)"))
    elif isinstance(getattr(given, "program", None), Program):
        hint = "; it has one: " + _call(caller, "session.program")
    raise ModelError(f"{caller} takes {wanted}, not {_kind(given)}{hint}")


def _call(caller: str, argument: str) -> str:
    return f"{caller}({argument})"


def _kind(given: object) -> str:
    return "None" if given is None else f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def _is_torch_module(given: object) -> bool:
    """Whether it is a PyTorch module; PyTorch need not be installed."""
    return any(cls.__module__.startswith("torch.nn") and cls.__name__ == "Module" for cls in type(given).__mro__)


def checked_path(given: object, caller: str) -> Path:
    """Return a path, or refuse what is none.

    Raises
    ------
    ModelError
    """
    if isinstance(given, str | PathLike) and not isinstance(fspath(given), bytes) and fspath(given):
        return Path(given)
    what = "an empty path" if isinstance(given, str) else _kind(given)
    already = "; that is a program already" if isinstance(given, Program) else ""
    raise ModelError(f"{caller} takes the path of a file, not {what}{already}")


def checked_count(given: Any, what: str, *, or_else: str = "") -> int:
    """Return a whole number of at least 1, of whatever integer type, or refuse it; `or_else` is a word that could stand there.

    Raises
    ------
    ModelError
    """
    try:
        number = 0 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = 0
    if number < 1:
        word = f", or {or_else!r}" if or_else else ""
        raise ModelError(f"{what}={given!r}: give a whole number of at least 1{word}")
    return number


def check_flag(given: object, what: str) -> None:
    """Refuse what is neither True nor False: any other word would count as True.

    Raises
    ------
    ModelError
    """
    if not isinstance(given, bool):
        raise ModelError(f"{what}={given!r}: give True or False")
