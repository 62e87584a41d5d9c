"""Streams made from labelled data: the orders in which adaptation is tried, from harmless to hard. They know no model.

Deterministic: the same labels and seed give the same stream on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SLOTS = 25
CONCENTRATION = 0.1
ORDERS = ("iid", "sorted", "dirichlet")
SEQUENCES = ("continual", "mixed")


@dataclass(frozen=True)
class Stream:
    """Which sample of which domain comes when.

    Attributes
    ----------
    domain, index : ndarray of int64, shape (length,)
        The domain's place in the list it was made from, and the sample's in the domain.
    """

    domain: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


def arrange(labels: np.ndarray, order: str, seed: int) -> np.ndarray:
    """Return an order of the samples as int64 (N,).

    Parameters
    ----------
    labels : ndarray of int, shape (N,)
    order : {'iid', 'sorted', 'dirichlet'}
        Shuffled; one class after the other, classes and samples shuffled; or Dirichlet(0.1): each class is spread over 25
        slots by proportions drawn from that distribution, so that a slot holds few classes (as in NOTE, NeurIPS 2022).
    seed : int
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(labels))
    if order == "iid":
        return shuffled
    classes = np.unique(labels)
    if order == "sorted":
        return np.concatenate([shuffled[labels[shuffled] == k] for k in random.permutation(classes)])
    slots: list[list[np.ndarray]] = [[] for _ in range(SLOTS)]
    for k in classes:
        members = shuffled[labels[shuffled] == k]
        shares = random.dirichlet(np.full(SLOTS, CONCENTRATION))
        cuts = (np.cumsum(shares) * len(members)).astype(np.int64)[:-1]
        for slot, part in zip(slots, np.split(members, cuts), strict=True):
            slot.append(part)
    return np.concatenate([random.permutation(np.concatenate(slot)) for slot in slots])


def continual(labels: np.ndarray, domains: Sequence[int], order: str, seed: int) -> Stream:
    """Return the domains one after the other, all samples of each in an order of its own."""
    parts = [arrange(labels, order, seed + step) for step in range(len(domains))]
    return Stream(np.repeat(np.asarray(domains, np.int64), len(labels)), np.concatenate(parts))


def mixed(labels: np.ndarray, domains: Sequence[int], order: str, seed: int) -> Stream:
    """Return every sample once, each from a domain drawn for it alone: the hardest case, since no statistics fit all."""
    drawn = np.random.default_rng((seed, 1)).choice(np.asarray(domains, np.int64), len(labels))
    return Stream(drawn, arrange(labels, order, seed))
