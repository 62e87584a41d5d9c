"""Layers whose weights are copied to RAM when a network begins: which, how many bytes, what is read of them, and the C of it.

They are copied by `<name>_init` and not by start-up code, which knows initialised data of the main RAM alone: this way they may lie
in any memory, under any build system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from codegen.constants import comment
from codegen.pools import Filled
from codegen.schedule import Action
from codegen.stepcode import CArray
from edgebn.errors import BoardError, ModelError, UsageError
from edgebn.program import Convolution, Program, Recurrence, TransposedConvolution, unpooled_shape

AUTO = "auto"
_Weighted = Convolution | TransposedConvolution | Recurrence
_ALIGNMENT = 8  # of every constant array
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class InRam:
    """What is copied.

    Attributes
    ----------
    layers : tuple of str
        Names of the layers whose weights and epilogues are copied.
    bytes : int
        Of RAM that the copies take.
    traffic : int
        Bytes of them that an inference reads: each weight once for every output position or moment.
    pool : str or None
        The pool that they are in; None where there are none.
    arrays : tuple of CArray
    """

    layers: tuple[str, ...]
    bytes: int
    traffic: int
    pool: str | None
    arrays: tuple[CArray, ...]


@dataclass(frozen=True)
class _Candidate:
    layers: tuple[str, ...]
    arrays: tuple[CArray, ...]
    positions: int

    @property
    def nbytes(self) -> int:
        return sum(-(-array.nbytes // _ALIGNMENT) * _ALIGNMENT for array in self.arrays)

    @property
    def traffic(self) -> int:
        return self.positions * sum(array.nbytes for array in self.arrays)


def choose(program: Program, actions: Sequence[Action], wanted: Sequence[str] | str, pools: Sequence[Filled]) -> InRam | None:
    """Return what is copied, or None for nothing.

    Parameters
    ----------
    program : Program
    actions : sequence of Action
    wanted : sequence of str, or 'auto'
        Names of layers; 'auto' for those of which most is read, a byte of their own, as far as the fastest pool has room left.
    pools : sequence of Filled
        The memories that the arena is spread over, the fastest first.

    Raises
    ------
    UsageError
        'auto' without pools.
    ModelError
        No such layer, or one without weights.
    BoardError
        No pool has room left for them.
    """
    if not wanted:
        return None
    candidates = [found for action in actions if (found := _candidate(program, action)) is not None]
    if wanted == AUTO:
        return _fitting(candidates, pools)
    chosen = _named(program, candidates, [wanted] if isinstance(wanted, str) else wanted)
    needed = sum(candidate.nbytes for candidate in chosen)
    pool = next((one.name for one in pools if one.size - one.taken >= needed), None)
    if pools and pool is None:
        left = ", ".join(f"{one.name} {one.size - one.taken:,}" for one in pools)
        raise BoardError(f"the weights to be copied take {needed:,} bytes, and no pool has as much left beside the arena ({left})")
    return _made(chosen, pool)


def _candidate(program: Program, action: Action) -> _Candidate | None:
    """Return what an action could have in RAM: the constants that its code reads, if it has weights."""
    weighted = [step for step in (program.steps[i] for i in action.steps) if isinstance(step, _Weighted)]
    used = set(_WORD.findall(action.code.call))
    arrays = tuple(array for array in action.code.arrays if array.name in used)
    if not weighted or not arrays:
        return None
    return _Candidate(tuple(one.name for one in weighted), arrays, _positions(program, weighted[0]))


def _positions(program: Program, step: _Weighted) -> int:
    """Return how many times a step reads each of its weights."""
    shape = program.buffers[step.output if isinstance(step, TransposedConvolution) else step.inputs[0]].shape
    rows, columns, _ = unpooled_shape(step, shape) if isinstance(step, Convolution) else shape  # sequences and moments
    return rows * columns


def _fitting(candidates: Sequence[_Candidate], pools: Sequence[Filled]) -> InRam | None:
    if not pools:
        raise UsageError("weights in RAM by themselves (auto) go where the fastest pool has room left: name pools too, or layers")
    left = pools[0].size - pools[0].taken
    chosen = set()
    for index in sorted(range(len(candidates)), key=lambda i: -candidates[i].positions):
        if candidates[index].nbytes <= left:
            left -= candidates[index].nbytes
            chosen.add(index)
    return _made([candidates[index] for index in sorted(chosen)], pools[0].name) if chosen else None


def _named(program: Program, candidates: Sequence[_Candidate], wanted: Iterable[str]) -> list[_Candidate]:
    by_layer = {layer: candidate for candidate in candidates for layer in candidate.layers}
    chosen = []
    for name in dict.fromkeys(wanted):
        if name not in by_layer:
            why = "has no weights" if any(step.name == name for step in program.steps) else "is no layer of this network"
            raise ModelError(f"{program.source}: '{name}' {why}; those with weights: {', '.join(by_layer) or 'none'}")
        chosen.append(by_layer[name])
    return [candidate for candidate in candidates if candidate in chosen]


def _made(chosen: Sequence[_Candidate], pool: str | None) -> InRam:
    return InRam(
        tuple(layer for candidate in chosen for layer in candidate.layers),
        sum(candidate.nbytes for candidate in chosen),
        sum(candidate.traffic for candidate in chosen),
        pool,
        tuple(array for candidate in chosen for array in candidate.arrays),
    )


def definition(name: str, in_ram: InRam | None, sections: Mapping[str, str], *, once: bool) -> str:
    """Return the definition of the copies; with `once` a mark that they are there, for networks that begin several times."""
    if in_ram is None:
        return ""
    macro = f"{name.upper()}_WEIGHTS_MEMORY"
    section = sections.get(in_ram.pool or "", "")
    default = f' __attribute__((section("{section}")))' if section else ""
    members = "".join(f"    EDGEBN_ALIGN {array.ctype} {_member(name, array)}[{array.values.size}];\n" for array in in_ram.arrays)
    return (
        f"#ifndef {macro} /* a section attribute: where copies of weights lie */\n#define {macro}{default}\n#endif\n"
        f"/* Copies of what these layers read, made when the network begins: {comment(', '.join(in_ram.layers))}. */\n"
        f"static {macro} struct {{\n{members}}} {name}_in_ram;\n" + (f"static int {name}_is_in_ram;\n" if once else "") + "\n"
    )


def copying(name: str, in_ram: InRam | None, *, once: bool) -> str:
    """Return the statements that make the copies, a new line before each; with `once` only the first time."""
    if in_ram is None:
        return ""
    copies = [
        f"(void)memcpy({name}_in_ram.{_member(name, array)}, {array.name}, sizeof {name}_in_ram.{_member(name, array)});"
        for array in in_ram.arrays
    ]
    if not once:
        return "".join(f"\n    {copy}" for copy in copies)
    lines = [*(f"        {copy}" for copy in copies), f"        {name}_is_in_ram = 1;"]
    return "\n    if (!{}_is_in_ram) {{\n{}\n    }}".format(name, "\n".join(lines))


def reading(name: str, in_ram: InRam | None, call: str) -> str:
    """Return statements that read the copies in place of the constants."""
    if in_ram is None:
        return call
    places = {array.name: f"{name}_in_ram.{_member(name, array)}" for array in in_ram.arrays}
    return _WORD.sub(lambda found: places.get(found[0], found[0]), call)


def _member(name: str, array: CArray) -> str:
    """Return an array's name among the copies, no longer than its own: those that differed still do."""
    return f"l{array.name.removeprefix(name)}"
