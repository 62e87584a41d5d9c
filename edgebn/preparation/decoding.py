"""From what a session returns to answers, of whatever kind the program keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebn.preparation.anomalies import AnomalyAnswer, anomaly_answer
from edgebn.preparation.answers import ClassAnswer, class_answers
from edgebn.preparation.data import Anomaly, Boxes, Classes, KeyPoints, Mask, Picture, WakeWord
from edgebn.preparation.detections import BoxAnswer, box_answers
from edgebn.preparation.key_points import PointAnswer, point_answers
from edgebn.preparation.masks import MaskAnswer, mask_answer
from edgebn.preparation.score_maps import mask_map
from edgebn.preparation.wake_words import WakeAnswer, WakeWordStream, probability_code
from edgebn.program import Program

Answer = list[ClassAnswer] | list[BoxAnswer] | list[PointAnswer] | MaskAnswer | WakeAnswer | AnomalyAnswer


class Decoder:
    """Makes answers of outputs, sample by sample; wake words remember what was before.

    Parameters
    ----------
    program : Program
        With `preparation.after`.
    """

    def __init__(self, program: Program) -> None:
        after = program.preparation.after if program.preparation else None
        assert after is not None
        self.program, self.after = program, after
        self._map = mask_map(program, after) if isinstance(after, Mask) else None
        self._stream = WakeWordStream(after) if isinstance(after, WakeWord) else None

    def reset(self) -> None:
        """Forget what was heard."""
        if self._stream is not None:
            self._stream.reset()

    def answers(
        self, result: np.ndarray | Mapping[str, np.ndarray], inputs: np.ndarray, sizes: Sequence[tuple[int, int]] = (), top: int = 5
    ) -> list[Any]:
        """Return the answer to each sample.

        Parameters
        ----------
        result : ndarray (N, ...) or mapping of such
            What `Session.run` returned.
        inputs : ndarray (N, ...)
            What it was given.
        sizes : sequence of (height, width)
            Of the pictures; of sounds there are none.
        top : int
            How many classes are told.
        """
        outputs = result if isinstance(result, Mapping) else {self.program.outputs[0]: result}
        if isinstance(self.after, Classes):
            return class_answers(outputs[self.program.outputs[0]], self.program, top)
        samples = [{name: values[index] for name, values in outputs.items()} for index in range(len(inputs))]
        return [
            self._answer(sample, network_input, sizes[index] if sizes else (0, 0))
            for index, (sample, network_input) in enumerate(zip(samples, inputs, strict=True))
        ]

    def _answer(self, outputs: dict[str, np.ndarray], network_input: np.ndarray, size: tuple[int, int]) -> Answer:
        first = outputs[self.program.outputs[0]]
        match self.after:
            case Boxes():
                return box_answers(outputs, self.program, size)
            case Mask():
                kept = self.program.preparation
                assert kept is not None
                assert isinstance(kept.before, Picture)
                wanted = self.program.buffers[self.program.inputs[0]].shape[:2]
                assert self._map is not None
                return mask_answer(first, self.after, self._map, kept.before, size if any(size) else wanted, wanted)
            case KeyPoints():
                return point_answers(first, self.program, size)
            case Anomaly():
                return anomaly_answer(network_input, first, self.program, self.after)
            case _:
                assert self._stream is not None
                return self._stream.feed(probability_code(first, self.program))
