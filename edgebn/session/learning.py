"""The operation tables that learn: from what an observing run left to new drifts and ratios, each in one call of the executor."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebn.kernels import executor
from edgebn.kernels.records import LEARNED
from edgebn.quick_dataclass import dataclass
from edgebn.session.sums import SumReader

TRACKING_PLANES = 4


@dataclass(frozen=True)
class Rule:
    """A class-compensated rule in plain numbers; `edgebn.adapt.compiled` makes it.

    Attributes
    ----------
    counts : ndarray of int64, shape (layers,)
        Channels of each.
    noise : ndarray of float32, shape (layers,)
    factors : ndarray of float32, shape (3, channels)
        From sums to deviations.
    first_table, second_table : ndarray of float32, shape (classes + 1, channels)
    planes : int
        Numbers a channel in its state: 4 where the rule tracks, else 2.
    numbers : dict of str to int or float
        What the kernels are told by name.
    """

    counts: np.ndarray
    noise: np.ndarray
    factors: np.ndarray
    first_table: np.ndarray
    second_table: np.ndarray
    planes: int
    numbers: Mapping[str, float]


class Learner:
    """A rule's state beside a packed program, and the calls that learn and that begin anew.

    Parameters
    ----------
    rule : Rule
    dtype : {'float32', 'int8'}
        Of the steps that adapt.
    logits : ndarray of float32 or int8, shape (classes,)
        What predictions are read from.
    left : ndarray
        The part of it that an observing run leaves: all, or of two classes the last.
    sums : SumReader
    memory : ndarray of uint8
        Where the sums stand.

    Attributes
    ----------
    state : ndarray of float32, shape (planes * channels + 1,)
        Set it before `begin`.
    left : ndarray
        Where an observing run leaves its logits.
    drift, ratio : ndarray of float32, shape (channels,)
        What the last call wanted folded; like the following, changed in place by the next.
    energy : ndarray of float32, shape (layers,)
    gate : ndarray of float32, shape (1,)
    pinned : ndarray of bool, shape (channels,)
    learn, begin : int
        Addresses of the tables' descriptions, for the executor: `learn` after an observing run, `begin` after `state` was set.
    """

    def __init__(  # what a session knows
        self, rule: Rule, dtype: str, logits: np.ndarray, left: np.ndarray, sums: SumReader, memory: np.ndarray
    ) -> None:
        layers, channels = len(rule.counts), int(rule.counts.sum())
        numbers = rule.planes * channels + 1
        self.state = np.zeros(numbers, np.float32)
        self.left = left
        self.drift, self.ratio = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        self.energy, self.gate = np.zeros(layers, np.float32), np.zeros(1, np.float32)
        self.pinned = np.zeros(channels, np.bool_)
        self._status, self._label = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self._is_open = True  # whether anything but the factory's may stand in the epilogues
        arrays = {
            "words": memory,
            "term_words": sums.words,
            "term_steps": sums.steps,
            "factors": rule.factors,
            "deviations": np.zeros((2, channels), np.float32),
            "status": self._status,
            "logits": logits,
            "label": self._label,
            "margin": np.zeros(1, np.float32),
            "first_table": rule.first_table,
            "second_table": rule.second_table,
            "state": self.state,
            "residuals": np.zeros((3, channels), np.float32),
            "counts": rule.counts,
            "noise": rule.noise,
            "wanted": np.zeros(2 * channels + layers + 1, np.float32),
            "pins": self.pinned,
            "backup": np.zeros(numbers, np.float32),
            "drifts": self.drift,
            "ratios": self.ratio,
            "energies": self.energy,
            "gate": self.gate,
        }
        self._alive = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        self._known = dict(rule.numbers) | {name: array.ctypes.data for name, array in self._alive.items()}
        self._known |= {"layers": layers, "channels": channels, "numbers": numbers, "terms": len(sums.words)}
        self._known["classes"] = len(logits)
        kind, predicting = ("i8" if one == "int8" else "f32" for one in (dtype, logits.dtype.name))
        keep = {"src": self.state.ctypes.data, "dst": self._known["backup"], "count": self.state.nbytes}
        self._known |= keep | {"src_row": 0, "dst_row": 0, "rows": 1}
        rule_steps = ("compensate", *(("track",) if rule.planes == TRACKING_PLANES else ()), "average")
        update = (f"deviate_{kind}", f"predict_{predicting}", *rule_steps)
        lasts = ("compute_gate", "commit")
        self._tables = [_table(self._known, ("copy_rows", *names, *lasts)) for names in (update, ())]
        self.learn, self.begin = (call.ctypes.data for _, call in self._tables)

    @property
    def label(self) -> int:
        """The class that the last inference predicted."""
        return int(self._label[0])

    @property
    def status(self) -> int:
        """What came of the last call that learned: a word of `records`."""
        return int(self._status[0])

    def prepare(self) -> None:
        """Make ready for `begin`, which learns from no sample."""
        self._status[0] = LEARNED
        self._is_open = True

    def needs_fold(self) -> bool:
        """Whether the last call changed what the epilogues must be: not where the gate was shut and still is."""
        was_open, self._is_open = self._is_open, bool(self.gate[0] > 0)
        return was_open or self._is_open


def _table(known: Mapping[str, float], names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return a table of operations whose arguments are taken by name, and its description for the executor."""
    words = np.zeros((len(names), executor.table_width()), np.int64)
    for line, name in zip(words, names, strict=True):
        operation = executor.operations()[name]
        row = executor.row(operation, **{argument: known[argument] for argument, _ in operation.arguments})
        line[: len(row)] = row
    return words, executor.call(words)
