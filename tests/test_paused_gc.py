"""The search for cycles, while it is paused and after it."""

import gc

import pytest

from edgebn.paused_gc import paused_gc

MANY, FEW = 10_000, 50  # objects, more and fewer than the search waits for


@pytest.fixture
def searches():
    """Give a list that every search adds its generation to."""
    found = []

    def note(phase, info):
        if phase == "start":
            found.append(info["generation"])

    gc.collect()
    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_lasting_objects_are_looked_through_neither_meanwhile_nor_at_once(searches):
    with paused_gc():
        made = [[] for _ in range(MANY)]
    made += [[] for _ in range(FEW)]
    assert searches == []
    made += [[] for _ in range(MANY)]
    assert searches != []


def test_cycles_that_were_made_meanwhile_are_found_when_all_are_looked_for():
    with paused_gc():
        cycle = [[]]
        cycle[0].append(cycle)
        del cycle
    assert gc.collect() >= 2


def test_what_the_user_keeps_out_stays_out():
    gc.freeze()
    try:
        kept = gc.get_freeze_count()
        with paused_gc():
            made = [[] for _ in range(FEW)]
        assert gc.get_freeze_count() == kept
        assert len(made) == FEW
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("is_on", [True, False])
def test_the_search_is_as_it_was_whatever_happens(is_on):
    @paused_gc()
    def fail():
        assert not gc.isenabled()
        raise ValueError("inside")

    try:
        (gc.enable if is_on else gc.disable)()
        with pytest.raises(ValueError, match="inside"):
            fail()
        assert gc.isenabled() is is_on
    finally:
        gc.enable()
