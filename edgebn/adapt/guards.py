"""The watchdog: signs that adaptation has gone astray. It decides when to return to the factory state, and says why.

Entropy and margin are no signs: both look better while a collapsing model gets worse (docs/adaptation.md).
"""

from __future__ import annotations

import numpy as np

from edgebn.adapt.rule import Targets

PATIENCE = 100  # inferences that a sign must last
MAX_PINNED = np.float32(0.25)  # of all channels held back by a bound
MAX_ENERGY = np.float32(30.0)  # of some layer, in its E
SHARE_RATE = np.float32(1.0 / 256)  # of the running share of each predicted class
MAX_SHARE = np.float32(0.98)
SETTLING = 1000  # inferences before shares mean anything


class Watchdog:
    """Counts bad signs from one inference to the next; every count begins anew after a return to the factory state.

    Parameters
    ----------
    classes : int
        0 where the network does not classify: predictions are then no sign.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self._pinned = self._energetic = self._age = 0
        self._shares = np.zeros(self._classes, np.float32)

    def see(self, targets: Targets, label: int) -> str:
        """Take in one inference; return why the state must go back to the factory's, or ''."""
        share_pinned = np.float32(np.count_nonzero(targets.pinned)) / np.float32(len(targets.pinned))
        self._pinned = self._pinned + 1 if share_pinned > MAX_PINNED else 0
        self._energetic = self._energetic + 1 if bool((targets.energy > MAX_ENERGY).any()) else 0
        self._age += 1
        if self._pinned >= PATIENCE:
            return "sustained saturation: bounds held back a quarter of the channels"
        if self._energetic >= PATIENCE:
            return "runaway energy: a layer's statistics went too far from home"
        if self._classes > 2:
            self._shares -= SHARE_RATE * self._shares
            self._shares[label] += SHARE_RATE
            if self._age >= SETTLING and self._shares[label] > MAX_SHARE:
                return f"predictions are stuck on class {label}"
        return ""
