"""Merging: independent of order and repetition, robust against a liar, and harmless at home."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgebn
from edgebn.fleet import harm
from edgebn.fleet.envelope import EnvelopeError
from edgebn.fleet.harm import SourceReplay
from edgebn.fleet.merging import MIN_SAMPLES, merge, middle, robust_mean
from tests.demo_model import demo_images
from tests.fleet.fleets import WORLDS, fleet, group_of, known, state_with


def prior_of(merged):
    return fleet().model.state(merged.envelope.state, "a prior").values[:2].astype(np.float64)


@given(st.permutations(list(range(10))))
def test_the_order_changes_nothing(order):
    group = group_of("dim")
    names = list(group)
    shuffled = {names[i]: group[names[i]] for i in order}
    one, other = merge(fleet().model, group), merge(fleet().model, shuffled)
    assert one.envelope.state == other.envelope.state
    assert (one.envelope.count, one.used, one.left_out) == (other.envelope.count, other.used, other.left_out)


def test_the_prior_is_the_mean_where_nobody_stands_out():
    """Against the plain mean, with the factory as half a device."""
    group = group_of("dim")
    values = np.stack([one.state.values[:2].astype(np.float64) for one in group.values()])
    merged = merge(fleet().model, group)
    assert merged.used == tuple(sorted(group))
    assert not merged.left_out
    expected = values.sum(axis=0) / 10.5
    near = (np.abs(values - np.median(values, axis=0)) <= 0.16).all(axis=0)  # eight of the least spreads
    assert near.mean() > 0.3
    np.testing.assert_allclose(prior_of(merged)[near], expected[near], rtol=1e-6, atol=1e-7)
    state = fleet().model.state(merged.envelope.state, "a prior")
    assert (state.values[2:] == state.values[:2]).all()
    assert merged.envelope.count == 1005


def test_the_robust_mean_by_hand():
    values = np.array([[1.0], [1.1], [0.9], [1.0], [50.0]])
    # Median 1, median distance 0.1: nothing counts for more than 1 + 8 * 0.14826.
    least = np.array([0.02])
    assert robust_mean(values, least)[0] == pytest.approx((1 + 1.1 + 0.9 + 1 + 1 + 8 * 0.14826) / 5.5)
    assert robust_mean(np.array([[1.0], [1.0], [9.0]]), least)[0] == pytest.approx((1 + 1 + 1 + 8 * 0.02) / 3.5)


def test_devices_elsewhere_are_left_out_and_named():
    group = group_of("dim", 8)
    group["stray"] = known("stray", fleet().learned["bright"][0])
    merged = merge(fleet().model, group)
    assert list(merged.left_out) == ["stray"]
    assert "away from its group" in merged.left_out["stray"]
    group.pop("stray")
    assert merged.envelope.state == merge(fleet().model, group).envelope.state


def test_too_few_too_young_too_old():
    model = fleet().model
    assert merge(model, {}).envelope is None
    assert merge(model, group_of("dim", 2)).envelope is None
    assert merge(model, group_of("dim", 3)).envelope is not None
    assert merge(model, group_of("dim", 1), least=1).envelope is not None
    group = group_of("dim", 4)
    values = group["d0"].state.values
    group["young"] = known("young", state_with(values, [MIN_SAMPLES - 1]))
    assert "fewer" in merge(model, group).left_out["young"]
    group = {name: known(name, one.envelope.state, time=10**12) for name, one in group_of("dim", 4).items()}
    group["old"] = known("old", fleet().learned["dim"][5], time=10**12 - 7200_000)
    group["future"] = known("future", fleet().learned["dim"][6], time=10**18)
    assert list(merge(model, group, max_age=3600).left_out) == ["old"], "one clock that is ahead makes nobody old"


LIES = {
    "opposite": lambda c, s, r: -c,
    "half": lambda c, s, r: 0.5 * c,
    "more": lambda c, s, r: 1.5 * c,
    "far more": lambda c, s, r: 3 * c,
    "within the scatter": lambda c, s, r: c + s,
    "at its edge": lambda c, s, r: c + 3 * s,
    "random signs": lambda c, s, r: c + 2 * s * np.sign(r.standard_normal(c.shape)),
    "a few wild channels": lambda c, s, r: np.where(r.random(c.shape) < 0.02, 5.0, c),
    "anything": lambda c, s, r: np.concatenate([r.uniform(-3, 3, (1, c.shape[1])), r.uniform(0, 9, (1, c.shape[1]))]),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("lie", LIES)
def test_one_liar_of_ten_has_less_than_a_tenth(world, lie):
    honest = group_of(world, 9)
    before = prior_of(merge(fleet().model, honest))
    values = np.stack([one.state.values[:2].astype(np.float64) for one in honest.values()])
    told = LIES[lie](np.median(values, axis=0), values.std(axis=0), np.random.default_rng(0))
    try:
        liar = known("liar", state_with(np.concatenate([told, told])))
    except EnvelopeError:  # one that the watchdog would throw away changes nothing at all
        return
    merged = merge(fleet().model, honest | {"liar": liar})
    assert set(merged.left_out) <= {"liar"}
    moved, asked = prior_of(merged) - before, told - before
    assert np.linalg.norm(moved) < 0.1 * np.linalg.norm(asked)


def test_liars_are_left_out_where_they_would_do_harm():
    honest = group_of("dim", 9)
    drift, ratio = middle(list(honest.values()))
    for state in (state_with(-fleet().model.state(fleet().learned["dim"][0], "").values), fleet().learned["home"][0]):
        liar = known("liar", state)
        assert fleet().model.distance(liar.drift, liar.ratio, drift, ratio) > 0.04
        assert list(merge(fleet().model, honest | {"liar": liar}).left_out) == ["liar"]


def test_home_shuts_the_gate_behind_every_honest_prior():
    replay = SourceReplay(fleet().model)
    for world in WORLDS:
        state = fleet().model.state(merge(fleet().model, group_of(world)).envelope.state, world)
        assert replay.refusal(state) == ""
        assert fleet().model.targets(state).gate.any() == (world != "home")


def test_priors_that_would_do_harm_are_refused(monkeypatch):
    model, replay = fleet().model, SourceReplay(fleet().model)
    pinned = model.state(fleet().learned["dim"][0], "")
    pinned.values[0, :40] = 7
    assert "bounds" in replay.refusal(pinned)
    dim = model.state(merge(model, group_of("dim")).envelope.state, "")
    monkeypatch.setattr(harm, "RETURN", 20)
    assert "still open after 20 samples" in replay.refusal(dim)
    real = replay.sample

    def elsewhere(bits, label):
        seen = real(bits, label)
        return replace(seen, first=seen.first + np.float32(0.5))

    monkeypatch.setattr(replay, "sample", elsewhere)
    assert "would open the gate" in replay.refusal(model.initial_state)


def test_the_replay_is_like_home():
    """The gate that real images of home keep shut stays shut in the replay too, and its energy is of the same size."""
    model, replay = fleet().model, SourceReplay(fleet().model)
    assert replay.refusal(model.initial_state) == ""
    adapter = edgebn.Adapter(edgebn.Session(fleet().program))
    adapter.run(demo_images()[0][:128])
    real = model.policy.level(model.targets(adapter.state).energy)
    state, bits = model.initial_state.copy(), np.random.PCG64(1)
    for turn in range(128):
        model.policy.update(state, replay.sample(bits, turn % 10))
    assert 0.2 < model.policy.level(model.targets(state).energy) / real < 5


def test_a_prior_helps_where_the_group_is():
    """The first fifty samples in the dim world of a device that starts from its neighbours' prior, and of one from the factory."""
    images, labels = demo_images()
    dim = images * np.float32(WORLDS["dim"])
    prior = merge(fleet().model, group_of("dim", 8)).envelope.state
    adapter = edgebn.Adapter(edgebn.Session(fleet().program))
    errors = {"factory": [], "prior": []}
    for turn in range(12):
        at = np.random.default_rng(turn).permutation(500)[:50]  # the fleet learned on the other half
        for start, wrong in errors.items():
            adapter.reset()
            if start == "prior":
                adapter.take_bytes(prior, "the prior")
            wrong.append(100 * np.mean(adapter.run(dim[at]).argmax(axis=1) != labels[at]))
    assert np.mean(errors["prior"]) < np.mean(errors["factory"]) - 3
