"""Errors in the words of the command line: one line, the files as the user named them, options where Python has arguments.

The rooms below say `input_shape=` and the name of the file that a model once came from; they know no command line.
"""

from __future__ import annotations

import argparse
import re

# Arguments of Python functions, and the options that say the same.
OPTIONS = {
    "calibration": "--calibration",
    "custom_layers": "--custom-layer",
    "input_shape": "--input-shape",
    "layout": "--layout",
    "method": "--method",
    "name": "--name",
    "params_only": "--params-only",
    "policy": "--policy",
    "prefix": "--prefix",
    "rows": "--rows",
    "section": "--section",
    "states": "--state",
}
# An argument with a value, or with none: name=True, name='text', name=(1, 2), name={"key": "value"}, name=
_ARGUMENT = re.compile(
    rf"(?<![\w-])({'|'.join(OPTIONS)})="
    r"""(?:True\b|'([^']+)'|"([^"]+)"|\((\d[\d, ]*)\)|\{["']([^"']+)["']: ["']?(\w+)["']?\}|(?![\w.'"({]))"""
)
# Python functions that are verbs here.
_CALLS = (
    (re.compile(r"edgebn\.adaptable\(model, images\)"), "`edgebn adapt MODEL STREAM --labels KEY --home FILE -o OUT.edgebn`"),
    (re.compile(r"edgebn\.adaptable\(\.\.\., (rows=\{[^}]*\})\)"), r"`edgebn adapt ... --home FILE \1 -o OUT.edgebn`"),
    (re.compile(r"edgebn\.quantize\b(\(\))?"), "`edgebn quantize`"),
)


def of(error: Exception, arguments: argparse.Namespace) -> str:
    """Return an error's sentence for the user of the command line.

    Parameters
    ----------
    error : Exception
    arguments : Namespace
        As far as they were parsed: `known_as` has the files as the user calls them, by what models say of themselves.
    """
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}"
    message = " ".join(str(error).split())
    for source, path in getattr(arguments, "known_as", {}).items():
        parts = re.split(rf"(?<![\w./\\-]){re.escape(source)}(?![\w/\\])", message)
        message = path.join(parts)
    for call, verb in _CALLS:
        message = call.sub(verb, message)
    return _ARGUMENT.sub(_as_option, message)


def _as_option(found: re.Match[str]) -> str:
    name, quoted, double_quoted, numbers, key, value = found.groups()
    text = quoted or double_quoted or (numbers and numbers.replace(" ", "").rstrip(",")) or (key and f"'{key}={value}'")
    return f"{OPTIONS[name]} {text}" if text else OPTIONS[name]
