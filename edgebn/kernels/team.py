"""How several threads walk one operation table together: tickets for its tasks, and waiting for the tasks before them.

A task is a range of rows; tasks of one phase may run at once, and a phase begins when those before it are done. The leader, the
thread that was asked for the inference, opens a turn for each sample; helpers join when they come. Whoever is free draws the next
ticket, so that the leader alone finishes everything when no helper comes, and nobody waits but for a task that another has drawn.
Tickets carry their turn's number: a helper that comes late draws none.
"""

from __future__ import annotations

from edgebn.kernels.atomics import exchange, increment, look, publish, rest
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_i64
from edgebn.kernels.records import TEAM_DONE, TEAM_LEAVING, TEAM_TICKETS

TURN_BITS = 32  # the high half of the word of tickets; the low half counts those that are left
LEFT = (1 << TURN_BITS) - 1


@kernel
def open_turn(team: int, tasks: int, is_last: bool) -> int:
    """Offer a sample's tasks, and return the turn's number. The leader's, when all tasks of the turn before are done."""
    turn = ((load_i64(team, TEAM_TICKETS) >> TURN_BITS) + 1) & (LEFT >> 1)
    publish(team, TEAM_DONE, 0)
    publish(team, TEAM_TICKETS, (turn << TURN_BITS) | tasks)
    if is_last:  # helpers that find no ticket of this turn need wait for no other
        publish(team, TEAM_LEAVING, 1)
    return turn


@kernel
def join_turn(team: int) -> int:
    """Return the number of a turn that has tickets left, or -1 when there will be none. A helper's."""
    looks = 0
    while True:
        word = look(team, TEAM_TICKETS)
        if word & LEFT != 0:
            return word >> TURN_BITS
        if look(team, TEAM_LEAVING) != 0 and look(team, TEAM_TICKETS) == word:
            return -1
        looks = rest(looks)


@kernel
def draw(team: int, turn: int, tasks: int) -> int:
    """Return the task whose turn it is, or -1 when all `tasks` of the turn are drawn."""
    while True:
        word = look(team, TEAM_TICKETS)
        left = word & LEFT
        if word >> TURN_BITS != turn or left == 0:
            return -1
        if exchange(team, TEAM_TICKETS, word, word - 1):
            return tasks - left


@kernel
def wait_for(team: int, count: int) -> None:
    """Return when `count` tasks of the turn are done."""
    looks = 0
    while look(team, TEAM_DONE) < count:
        looks = rest(looks)


@kernel
def finish(team: int) -> None:
    """Count a task as done."""
    increment(team, TEAM_DONE)
