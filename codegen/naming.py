"""C identifiers for models, buffers, steps and arrays. Knows programs; nothing of what the C does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from edgebn.errors import ModelError
from edgebn.program import Program

_LONGEST = 40  # of an identifier made from a layer's name: lines stay readable

# C99's keywords, the names that the emitted code and its programs use themselves, and types: no model or buffer may be called so.
_WORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Bool _Complex
    _Imaginary asm typeof linux unix main memory arena scratch input output memcpy memset memmove step data bytes int8_t
    uint8_t int16_t uint16_t int32_t uint32_t int64_t uint64_t bool true false NULL self_test
"""
_TAKEN = frozenset(_WORDS.split())

SCRATCH = "EDGEBN@SCRATCH"  # stands for a step's scratch memory until the arena is planned; no C text contains an @


def identifier(text: str) -> str:
    """Return `text` as a C identifier: the last two parts of a path, in lower case."""
    tail = "_".join(text.split("/")[-2:])
    name = re.sub(r"[^0-9a-z]+", "_", tail.lower()).strip("_")[:_LONGEST].rstrip("_") or "value"
    name = f"v{name}" if name[0].isdigit() else name
    return f"{name}_" if name in _TAKEN or name.startswith("edgebn_") else name


def identifiers(texts: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return one identifier for each text, all different and none of `taken`."""
    used = set(taken)
    found: dict[str, str] = {}
    for text in texts:
        base = name = identifier(text)
        number = 2
        while name in used:
            name = f"{base}_{number}"
            number += 1
        used.add(name)
        found[text] = name
    return found


def check_name(name: str, what: str) -> str:
    """Return `name`, which a caller chose and which files, functions and macros will carry.

    Raises
    ------
    ModelError
        It is no lower-case C identifier, or one that C or the emitted code has taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name) or name in _TAKEN:
        raise ModelError(f"{name!r} cannot be the {what}: give a C identifier in lower case, for example kws_net")
    return name


def model_name(program: Program) -> str:
    """Return the name that the C gets when the caller gives none: the model file's, or the model's own."""
    stem = PurePath(program.source.replace("\\", "/")).stem or program.name or "model"
    return identifier(stem).rstrip("_") if identifier(stem).rstrip("_") not in _TAKEN else "model"


@dataclass(frozen=True)
class StepNames:
    """C expressions for one step: see `stepcode.Names`."""

    step: str  # the step's identifier with the model's in front
    buffers: Mapping[str, str]

    @property
    def scratch(self) -> str:
        """Return what stands for the scratch memory until it has a place."""
        return SCRATCH

    def buffer(self, name: str) -> str:
        """Return the expression for a buffer."""
        return self.buffers[name]

    def array(self, suffix: str) -> str:
        """Return the identifier of one of the step's arrays."""
        return f"{self.step}_{suffix}"
