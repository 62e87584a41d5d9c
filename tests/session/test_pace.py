"""Whether the next call is shared: by typical times, whatever a busy machine does to single calls."""

from edgebn.session.pace import CLEAR, COST_ALONE, COST_SHARED, SHORTEST, Pace


def called(pace, count, shared, alone):
    """Note so many calls, which take so long each way; return which were shared."""
    taken = []
    for _ in range(count):
        taken.append(pace.shares)
        pace.note(shared if pace.shares else alone)
    return taken


def test_a_way_that_is_slower_is_left_and_its_tries_cost_little():
    found = Pace()
    taken = called(found, 4000, shared=3.0, alone=1.0)
    assert sum(taken[:100]) < 40
    tries = sum(taken[1000:])
    assert 0 < 2.0 * tries < 1.1 * COST_ALONE * len(taken[1000:])
    taken += called(found, 2000, shared=0.6, alone=1.0)  # the machine is quiet now
    assert sum(taken[-1000:]) > 980


def test_a_way_that_costs_little_more_is_tried_again_soon():
    """Threads of one core: sharing gains nothing and costs nothing, until the host moves one of them."""
    found = Pace()
    taken = called(found, 1000, shared=1.02, alone=0.9)
    assert 0 < sum(taken[-500:]) < 200
    taken = called(found, 60, shared=0.5, alone=0.9)
    assert all(taken[-20:])


def test_a_try_ends_when_it_is_clear():
    """On a quiet machine few calls go the slower way, also of the first ones, and they cost what they may."""
    found = Pace()
    taken = called(found, 600, shared=1.0, alone=1.8)
    assert taken.count(False) == CLEAR + 1


def test_a_try_that_is_held_up_goes_on():
    """One call of a try that the system held up says nothing: the faster way is found all the same."""
    found = Pace()
    taken = []
    for i in range(200):
        taken.append(found.shares)
        held_up = i == taken.index(False) + 1 if False in taken else False
        found.note((1.8 if found.shares else 1.0) * (9.0 if held_up else 1.0))
    assert sum(taken[-100:]) < 10


def test_single_calls_that_the_system_held_up_do_not_change_the_way():
    found = Pace()
    taken = []
    for i in range(3000):
        taken.append(found.shares)
        found.note((1.0 if found.shares else 1.8) * (6.0 if i % 13 == 0 else 1.0))
    assert sum(taken) > 0.97 * len(taken)


def test_calls_that_became_slower_try_the_other_way_at_once():
    found = Pace()
    for _ in range(2500):  # tries are as seldom as they get
        found.note(1.0 if found.shares else 1.8)
    taken = called(found, 100, shared=3.0, alone=1.8)  # the machine is busy now
    assert sum(taken) < 50


def test_calls_that_all_became_slower_stay_shared():
    """Where processors move to places where both ways take longer, and back, again and again, few calls go the slower way."""
    found = Pace()
    taken = []
    for i in range(3000):
        taken.append(found.shares)
        slow = i // 40 % 2
        found.note((1.6 if slow else 1.0) if found.shares else (2.2 if slow else 1.9))
    assert taken.count(False) < 0.02 * len(taken)


class Noted(float):
    """Seconds that let another thread note its own, as Python may between any two steps: here whenever two are compared."""

    def __new__(cls, seconds, pace):
        found = super().__new__(cls, seconds)
        found.pace = pace
        return found

    def __lt__(self, other):
        self.pace.note(1.0)
        return float(self) < float(other)


def test_what_one_thread_notes_does_not_change_under_the_hands_of_another():
    """One session may be called from several threads, and notes when its call is over."""
    found = Pace()
    for _ in range(SHORTEST):
        found.note(Noted(1.0, found))
    assert not found.shares  # in a try
    for _ in range(CLEAR + 1):
        found.note(Noted(1.8, found))
    calls = int((CLEAR + 1) * (1.8 - 1.0) / COST_SHARED)
    assert [found.shares for _ in range(calls) if found.note(1.0) is None] == [True] * (calls - 1) + [False]
