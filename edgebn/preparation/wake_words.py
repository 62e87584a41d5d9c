"""From probabilities, one an inference, to when a word was heard: the integers of ESPHome's micro_wake_word."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from edgebn.preparation.data import WakeWord
from edgebn.program import Program


@dataclass(frozen=True)
class WakeAnswer:
    """What one inference makes of what was heard.

    Attributes
    ----------
    name : str
        The word.
    score : float
        The sliding average of its probability.
    is_heard : bool
    """

    name: str
    score: float
    is_heard: bool


class WakeWordStream:
    """Decides, inference by inference.

    Parameters
    ----------
    settings : WakeWord
    """

    def __init__(self, settings: WakeWord) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._codes: deque[int] = deque([0] * self.settings.window, self.settings.window)
        self._waiting = 0

    def feed(self, code: int) -> WakeAnswer:
        """Take one probability in, as `probability_code` gives it."""
        settings = self.settings
        self._codes.append(code)
        total = sum(self._codes)
        is_heard = not self._waiting and total > int(settings.cutoff * 255) * settings.window
        self._waiting = max(self._waiting - 1, 0)
        if is_heard:
            self.reset()
            self._waiting = settings.refractory
        return WakeAnswer(settings.name, total / (255 * settings.window), is_heard)


def probability_code(output: np.ndarray, program: Program) -> int:
    """Return the probability of one sample as a code from 0 to 255: the output's own, or that of a real number from 0 to 1."""
    value = output.reshape(-1)[0]
    if output.dtype in (np.int8, np.int16):
        return int(value) + 128
    buffer = program.buffers[program.outputs[0]]
    if buffer.dtype == "int8":
        return int(np.rint(value / np.float32(buffer.scale))) + buffer.zero_point + 128
    return int(np.rint(np.clip(np.float32(value) * np.float32(255), 0, 255)))
