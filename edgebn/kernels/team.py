"""How several threads walk one operation table together: tickets for its tasks, and waiting for the tasks before them.

A task is a range of rows; tasks of one phase may run at once, and a phase begins when those before it are done. The leader, the
thread that was asked for the inference, opens a turn for each sample; helpers join when they come. Whoever is free draws the next
ticket, so that the leader alone finishes everything when no helper comes, and nobody waits but for a task that another has drawn.
Tickets carry their turn's number: a helper that comes late draws none.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from edgebn.kernels.isa import ARM64, SELECTED, X86
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_i64
from edgebn.kernels.records import TEAM_DONE, TEAM_LEAVING, TEAM_TICKETS

I32 = ir.IntType(32)
I64 = ir.IntType(64)

TURN_BITS = 32  # the high half of the word of tickets; the low half counts those that are left
LEFT = (1 << TURN_BITS) - 1
SPINS = 2000  # looks at a word, a few microseconds, before the processor is offered to others at every look


def _word(builder: ir.IRBuilder, base: ir.Value, index: ir.Value) -> ir.Value:
    return builder.gep(builder.inttoptr(base, I64.as_pointer()), [index])


@intrinsic
def _look(typing_context: Any, base: Any, index: Any) -> Any:  # noqa: ARG001  # the form that Numba asks for
    """Return a word and see all that was written before it."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        return builder.load_atomic(_word(builder, *arguments), "acquire", 8)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _publish(typing_context: Any, base: Any, index: Any, value: Any) -> Any:  # noqa: ARG001
    """Set a word; who sees it sees all that was written before."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        builder.store_atomic(arguments[2], _word(builder, *arguments[:2]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def _exchange(typing_context: Any, base: Any, index: Any, expected: Any, value: Any) -> Any:  # noqa: ARG001
    """Set a word if it is what was expected, and return whether it was."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        place = _word(builder, *arguments[:2])
        result = builder.cmpxchg(place, arguments[2], arguments[3], "acq_rel", "acquire")
        return builder.extract_value(result, 1)

    return types.boolean(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def _increment(typing_context: Any, base: Any, index: Any) -> Any:  # noqa: ARG001
    """Add 1 to a word."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        builder.atomic_rmw("add", _word(builder, *arguments), ir.Constant(I64, 1), "acq_rel")
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _pause(typing_context: Any) -> Any:  # noqa: ARG001
    """Let the core's other thread work for a moment, where there is an instruction for it."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        nothing = ir.VoidType()
        if set(SELECTED.machines) & set(X86):
            kind = ir.FunctionType(nothing, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        elif set(SELECTED.machines) & set(ARM64):
            kind = ir.FunctionType(nothing, [I32])
            hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.hint")
            builder.call(hint, [ir.Constant(I32, 1)])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _yield(typing_context: Any) -> Any:  # noqa: ARG001
    """Offer the processor to other threads; POSIX' sched_yield, and nothing where there is none."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:  # noqa: ARG001
        if sys.platform != "win32":
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I32, []), "sched_yield")
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


@kernel
def _rest(looks: int) -> int:
    """Wait a moment before the next look, and return how many there were."""
    if looks < SPINS:
        _pause()
    else:
        _yield()
    return looks + 1


@kernel
def open_turn(team: int, tasks: int, is_last: bool) -> int:
    """Offer a sample's tasks, and return the turn's number. The leader's, when all tasks of the turn before are done."""
    turn = ((load_i64(team, TEAM_TICKETS) >> TURN_BITS) + 1) & (LEFT >> 1)
    _publish(team, TEAM_DONE, 0)
    _publish(team, TEAM_TICKETS, (turn << TURN_BITS) | tasks)
    if is_last:  # helpers that find no ticket of this turn need wait for no other
        _publish(team, TEAM_LEAVING, 1)
    return turn


@kernel
def join_turn(team: int) -> int:
    """Return the number of a turn that has tickets left, or -1 when there will be none. A helper's."""
    looks = 0
    while True:
        word = _look(team, TEAM_TICKETS)
        if word & LEFT != 0:
            return word >> TURN_BITS
        if _look(team, TEAM_LEAVING) != 0 and _look(team, TEAM_TICKETS) == word:
            return -1
        looks = _rest(looks)


@kernel
def draw(team: int, turn: int, tasks: int) -> int:
    """Return the task whose turn it is, or -1 when all `tasks` of the turn are drawn."""
    while True:
        word = _look(team, TEAM_TICKETS)
        left = word & LEFT
        if word >> TURN_BITS != turn or left == 0:
            return -1
        if _exchange(team, TEAM_TICKETS, word, word - 1):
            return tasks - left


@kernel
def wait_for(team: int, count: int) -> None:
    """Return when `count` tasks of the turn are done."""
    looks = 0
    while _look(team, TEAM_DONE) < count:
        looks = _rest(looks)


@kernel
def finish(team: int) -> None:
    """Count a task as done."""
    _increment(team, TEAM_DONE)
