"""Which phases become one: those that depend on nothing left, where that makes the whole shorter."""

import random

import pytest

from edgebn.session import merging
from edgebn.session.merging import Phase, Task, cost, merged
from edgebn.session.parts import MAX_SHARES


def phases_of(*given):
    """Return phases from (microseconds of each task, what the phase comes after); a row of the table for each task."""
    found, row = [], 0
    for microseconds, after in given:
        tasks = [
            Task(row + index, row + index + 1, 1000.0 * taken, index / len(microseconds))
            for index, taken in enumerate(microseconds)
        ]
        row += len(tasks)
        found.append(Phase(tuple(tasks), sum(1 << one for one in after)))
    return found


def rows(phases, threads):
    return [[(task.first, task.end) for task in tasks] for tasks in merged(phases, range(len(phases)), threads)]


def test_two_branches_that_nothing_splits_run_beside_each_other():
    assert rows(phases_of(([5], []), ([5], [])), 2) == [[(0, 1), (1, 2)]]
    assert rows(phases_of(([5], []), ([5], [0])), 2) == [[(0, 1)], [(1, 2)]]


def test_chains_run_beside_each_other_as_one_task_each():
    """Each step of them is too short to be handed over."""
    chain = [([0.4], []), ([0.4], [0]), ([0.4], [1]), ([0.4], [2])]
    other = [([0.4], []), ([0.4], [4]), ([0.4], [5]), ([0.4], [6])]
    assert rows(phases_of(*chain, *other, ([1, 1], [3, 7])), 2) == [[(0, 4), (4, 8)], [(8, 9), (9, 10)]]


def test_what_is_too_short_is_not_handed_over():
    assert rows(phases_of(([0.2], []), ([0.2], [])), 2) == [[(0, 1)], [(1, 2)]]


def test_a_single_task_runs_beside_a_split_step():
    """It comes first in its thread's part, whose last tasks others take over."""
    found = rows(phases_of(([3, 2, 1, 3, 2, 1], []), ([4], [])), 2)
    assert found == [[(0, 1), (1, 2), (2, 3), (6, 7), (3, 4), (4, 5), (5, 6)]]


def test_everybody_keeps_the_own_part_of_two_split_steps_the_smallest_last():
    found = rows(phases_of(([3, 2, 1, 3, 2, 1], []), ([6, 4, 2, 6, 4, 2], [])), 2)
    assert found == [[(6, 7), (7, 8), (0, 1), (1, 2), (8, 9), (2, 3), (9, 10), (10, 11), (3, 4), (4, 5), (11, 12), (5, 6)]]


def test_only_phases_that_leave_threads_without_work_for_long_become_one():
    """What is handed over once less is nothing beside caches that hold what was written last."""
    three = [100] * 3
    assert len(merged(phases_of((three, []), (three, [])), range(2), 3)) == 2
    assert len(merged(phases_of((three, []), (three, [])), range(2), 2)) == 1
    assert len(merged(phases_of((three, []), (three, [0])), range(2), 2)) == 2


@pytest.mark.parametrize("threads", [2, 3, 4, 8, 16, 47, 64])
def test_random_phases_keep_their_order_and_fit(threads, monkeypatch):
    draw = random.Random(threads)
    for _ in range(60):
        if draw.random() < 0.5:  # as many as can be
            monkeypatch.setattr(merging, "MIN_GAIN", -1e9)
            monkeypatch.setattr(merging, "MIN_FRACTION", -1e9)
        else:
            monkeypatch.undo()
        given = []
        for index in range(draw.randrange(1, 40)):
            tasks = [draw.uniform(0, 20) for _ in range(draw.choice([1, 1, 1, 2, 3, threads, 3 * threads]))][:MAX_SHARES]
            given.append((tasks, [one for one in range(index) if draw.random() < draw.choice([0.02, 0.3])]))
        phases = phases_of(*given)
        found = merged(phases, range(len(phases)), threads)
        place = {}  # of each row: its phase, and its task there
        for at, tasks in enumerate(found):
            assert len(tasks) <= MAX_SHARES
            for which, task in enumerate(tasks):
                for row in range(task.first, task.end):
                    assert row not in place
                    place[row] = at, which, row
        assert len(place) == sum(len(phase.tasks) for phase in phases)
        for phase, (_, after) in zip(phases, given, strict=True):
            for task in phase.tasks:
                for one in after:
                    for other in phases[one].tasks:
                        before, mine = place[other.first], place[task.first]
                        assert before[0] < mine[0] or (before[:2] == mine[:2] and before[2] < mine[2])
        apart = sum(cost(phase.tasks, threads) for phase in phases)
        if merging.MIN_GAIN > 0:
            assert sum(cost(tasks, threads) for tasks in found) <= apart + 1e-6
