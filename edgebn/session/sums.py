"""Reads the sums that observing runs left. Knows where sums stand in the packed memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.session.observing import ReducedStatistics


class SumReader:
    """Reads the sums of all adapted steps out of the memory of constants.

    Parameters
    ----------
    reduced_statistics : list of list of ReducedStatistics
        Of each adapted step, in order.
    counts : list of int
        Channels of each.
    memory : ndarray of uint8
    is_int8 : bool

    Attributes
    ----------
    words : ndarray of int64, shape (terms, channels)
        Word of the memory, 32 bits each, where a term of a channel's S1 stands; -1 where it has fewer terms. Of most layers a
        channel has one.
    steps : ndarray of int64, shape (terms, channels)
        Words from there to the next part of the sums: S2, or the low and then the high halves of int8's.
    """

    def __init__(
        self, reduced_statistics: list[list[ReducedStatistics]], counts: list[int], memory: np.ndarray, is_int8: bool
    ) -> None:
        self._memory = memory[: len(memory) // 8 * 8].view(np.int32 if is_int8 else np.float32)
        self._is_int8 = is_int8
        terms: list[list[tuple[int, int]]] = []  # of each channel: (word of S1, places)
        for parts, count in zip(reduced_statistics, counts, strict=True):
            mine: list[list[tuple[int, int]]] = [[] for _ in range(count)]
            for part in parts:
                for channel, place in part.channel_places.tolist():
                    mine[channel].append((part.sums.offset // 4 + place, part.places))
            terms += mine
        most = max(len(one) for one in terms)
        self.words, self.steps = np.full((most, len(terms)), -1, np.int64), np.zeros((most, len(terms)), np.int64)
        for channel, one in enumerate(terms):
            for i, (word, places) in enumerate(one):
                self.words[i, channel], self.steps[i, channel] = word, places
        # A missing term weighs nothing, whatever stands in word 0.
        self._weight: Any = (self.words >= 0).astype(np.int64 if is_int8 else np.float32)
        self._first = np.maximum(self.words, 0)
        self._second = self._first + self.steps
        self._third = self._second + self.steps
        self._is_single = most == 1

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return S1 and S2 of all channels: int32 and uint64, or float32."""
        words = self._memory
        if not self._is_int8:
            first, second = words[self._first], words[self._second]
            return (first * self._weight).sum(axis=0), (second * self._weight).sum(axis=0)
        first, low, high = words[self._first], words[self._second].view(np.uint32), words[self._third].view(np.uint32)
        second = low.astype(np.uint64) + (high.astype(np.uint64) << np.uint64(16))
        if self._is_single:
            return first[0], second[0]
        return (first * self._weight).sum(axis=0).astype(np.int32), (second * self._weight.astype(np.uint64)).sum(axis=0)
