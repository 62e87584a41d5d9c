"""Streams: every order holds every sample once, is the same for the same seed, and is as correlated as it says."""

import numpy as np
import pytest

from edgebn.adapt.streams import ORDERS, arrange, continual, mixed

LABELS = np.random.default_rng(0).integers(0, 10, 1000)


def repeats(labels):
    return float(np.mean(labels[1:] == labels[:-1]))


@pytest.mark.parametrize("order", ORDERS)
def test_every_sample_comes_once_and_seeds_decide(order):
    first, again, other = arrange(LABELS, order, 1), arrange(LABELS, order, 1), arrange(LABELS, order, 2)
    assert sorted(first) == list(range(1000))
    assert (first == again).all()
    assert (first != other).any()


def test_orders_are_as_correlated_as_they_say():
    assert repeats(LABELS[arrange(LABELS, "iid", 0)]) < 0.15
    assert repeats(LABELS[arrange(LABELS, "sorted", 0)]) == pytest.approx(1 - 9 / 999)
    assert 0.25 < repeats(LABELS[arrange(LABELS, "dirichlet", 0)]) < 0.9


def test_continual_brings_one_domain_after_another():
    stream = continual(LABELS, [2, 0, 1], "sorted", 0)
    assert len(stream) == 3000
    assert stream.domain.tolist() == [2] * 1000 + [0] * 1000 + [1] * 1000
    assert all(sorted(stream.index[part : part + 1000]) == list(range(1000)) for part in (0, 1000, 2000))


def test_mixed_draws_a_domain_for_each_sample():
    stream = mixed(LABELS, [0, 1, 2], "iid", 0)
    assert sorted(stream.index) == list(range(1000))
    assert (np.bincount(stream.domain) > 250).all()
    assert repeats(stream.domain) < 0.5
