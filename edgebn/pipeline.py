"""`edgebn.Pipeline`: from a picture or a piece of sound to the answer in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgebn.arguments import checked_program
from edgebn.errors import ModelError
from edgebn.preparation.data import Picture, Sound
from edgebn.preparation.decoding import Decoder
from edgebn.preparation.pictures import pictured
from edgebn.preparation.sounds import Listener
from edgebn.program import Program
from edgebn.session import Session


class Pipeline:
    """A network with what stands before and behind it.

    Parameters
    ----------
    model : Program
        From `edgebn.prepare`, or a file that says how its inputs are made.
    threads : int or "auto"
        Of its session.
    adapt : bool
        Whether it goes on learning from what it sees: `adapter` is then an `edgebn.Adapter`, else None.

    Raises
    ------
    ModelError
        The model does not say how pictures or sounds become its input; or it shall adapt and was not made adaptable.
    """

    def __init__(self, model: Program, threads: int | str = 1, *, adapt: bool = False) -> None:
        checked_program(model, "edgebn.Pipeline")
        before = model.preparation.before if model.preparation else None
        if before is None:
            raise ModelError(f"{model.source} does not say how pictures or sounds become its input; see edgebn.prepare")
        self.model, self.session = model, Session(model, threads)
        self.adapter: Any = None
        self._run: Callable[[Any], Any] = self.session.run
        if adapt:
            from edgebn.adapt import Adapter

            self.adapter = Adapter(self.session)
            self.run_by(self.adapter.run)
        self._before = before
        self._decoder = Decoder(model) if model.preparation and model.preparation.after is not None else None
        self._buffer = model.buffers[model.inputs[0]]
        self._listener = Listener(before, self._buffer) if isinstance(before, Sound) else None
        self.reset()

    def run_by(self, run: Callable[[Any], Any]) -> None:
        """Have `run` run the network from now on, in place of the session's or the adapter's: `edgebn.fleet.Agent.run`."""
        self._run = run

    def reset(self) -> None:
        """Forget what was heard, and what the network keeps from run to run."""
        self.session.reset_state()
        if self._decoder is not None:
            self._decoder.reset()
        if self._listener is not None:
            self._listener.reset()

    def __call__(self, seen: Any) -> Any:
        """Return the answer to a picture, or those to what a piece of sound completes.

        Parameters
        ----------
        seen : ndarray or Pillow image
            A picture, uint8 (height, width, 3), (height, width, 1) or (height, width), of any size; or the next samples of a
            sound, int16 (n,).

        Returns
        -------
        list of ClassAnswer, BoxAnswer or PointAnswer, MaskAnswer, WakeAnswer, AnomalyAnswer, or ndarray
            Of a picture: its classes, most probable first, what was found in it, or what else the model keeps; without any, what
            `Session.run` returns for one sample. Of a sound a list of such, one for each inference, which may be none.
        """
        if isinstance(self._before, Picture):
            pixels = np.asarray(seen)
            return self.answer(self.prepare(pixels), pixels.shape[:2])
        assert self._listener is not None
        inputs = self._listener.feed(np.asarray(seen))
        return self._answers(inputs) if len(inputs) else []

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return what the network is given for a picture, (1, ...); with `answer` the two halves of a call."""
        assert isinstance(self._before, Picture)
        return pictured(np.asarray(pixels), self._before, self._buffer)[None]

    def answer(self, inputs: np.ndarray, size: tuple[int, ...]) -> Any:
        """Return the answer to what `prepare` gave of a picture of that height and width."""
        return self._answers(inputs, [(size[0], size[1])])[0]

    @property
    def hears(self) -> bool:
        """Whether it takes sound, not pictures."""
        return isinstance(self._before, Sound)

    @property
    def sample_rate(self) -> int:
        """Of the sound that it takes, in Hz."""
        assert isinstance(self._before, Sound)
        return self._before.front_end.sample_rate

    def _answers(self, inputs: np.ndarray, sizes: Sequence[tuple[int, int]] = ()) -> list[Any]:
        shaped = inputs.reshape(-1, *self.model.shapes[self.model.inputs[0]])
        result = self._run(shaped)
        if self._decoder is not None:
            return self._decoder.answers(result, shaped, sizes)
        if isinstance(result, dict):
            return [{name: values[index] for name, values in result.items()} for index in range(len(inputs))]
        return list(result)
