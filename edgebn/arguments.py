"""What users hand over in place of a program, a session or a path, and how they are told. Knows nothing of files or engines."""

from __future__ import annotations

import operator
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NoReturn

from edgebn.errors import ModelError
from edgebn.program import Program


def checked_program(value: object, caller: str) -> Program:
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
    if not isinstance(value, Program):
        _refuse(value, caller, "a program as edgebn.load returns it", "{}")
    return value


def refuse_session(value: object, caller: str) -> NoReturn:
    """Refuse what is no session, with the way from it to one.

    Raises
    ------
    ModelError
    """
    _refuse(value, caller, "a session", "edgebn.Session({})")


def _refuse(value: object, caller: str, wanted: str, way: str) -> NoReturn:
    hint = ""
    if isinstance(value, str | PathLike):
        hint = "; load the file first: " + _call(caller, way.format(f"edgebn.load({fspath(value)!r})"))
    elif isinstance(value, Program):
        hint = "; make one first: " + _call(caller, way.format("program"))
    elif _is_torch_module(value):
        hint = "; make a program of the module first: " + _call(caller, way.format("edgebn.from_torch(module, example)"))
    elif isinstance(getattr(value, "program", None), Program):
        hint = "; it has one: " + _call(caller, "session.program")
    raise ModelError(f"{caller} takes {wanted}, not {_kind(value)}{hint}")


def _call(caller: str, argument: str) -> str:
    return f"{caller}({argument})"


def _kind(value: object) -> str:
    return "None" if value is None else f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _is_torch_module(value: object) -> bool:
    """Whether it is a PyTorch module; PyTorch need not be installed."""
    return any(cls.__module__.startswith("torch.nn") and cls.__name__ == "Module" for cls in type(value).__mro__)


def checked_path(value: object, caller: str) -> Path:
    """Return a path, or refuse what is none.

    Raises
    ------
    ModelError
    """
    if isinstance(value, str | PathLike) and not isinstance(fspath(value), bytes) and fspath(value):
        return Path(value)
    what = "an empty path" if isinstance(value, str) else _kind(value)
    already = "; that is a program already" if isinstance(value, Program) else ""
    raise ModelError(f"{caller} takes the path of a file, not {what}{already}")


def checked_count(value: Any, what: str, *, or_else: str = "") -> int:
    """Return a whole number of at least 1, of whatever integer type, or refuse it; `or_else` is a word that could stand there.

    Raises
    ------
    ModelError
    """
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        word = f", or {or_else!r}" if or_else else ""
        raise ModelError(f"{what}={value!r}: give a whole number of at least 1{word}")
    return number


def check_flag(value: object, what: str) -> None:
    """Refuse what is neither True nor False: any other word would count as True.

    Raises
    ------
    ModelError
    """
    if not isinstance(value, bool):
        raise ModelError(f"{what}={value!r}: give True or False")
