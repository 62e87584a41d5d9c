"""A whole recording to the inputs of a network: one for each inference that a stream of it would make."""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import MfccFrontEnd, Sound
from edgebn.preparation.mfcc_stream import MfccStream
from edgebn.preparation.micro_stream import MicroStream
from edgebn.preparation.sound_codes import int8_codes, real_values, thresholds
from edgebn.preparation.sound_stream import SoundStream
from edgebn.program import Buffer


def heard(samples: np.ndarray, sound: Sound, buffer: Buffer) -> np.ndarray:
    """Return the inputs (N, size of `buffer`), int8 codes or float32, of int16 samples (n,).

    Raises
    ------
    ModelError
        The recording is shorter than what the network hears at once.
    """
    front, stream = sound.front_end, stream_of(sound)
    rows = stream.feed(samples)
    windows = int(np.prod(buffer.shape)) // front.channels
    if len(rows) < windows:
        needed = front.window + (windows - 1) * front.step
        raise ModelError(f"the sound has {len(samples)} samples, and the network hears {needed} at once")
    starts = range(0, len(rows) - windows + 1, sound.stride)
    return inputs_of(stream, [rows[start : start + windows] for start in starts], sound, buffer)


class Listener:
    """Makes inputs of a sound that comes in pieces: one for each inference that they complete.

    Parameters
    ----------
    sound : Sound
    buffer : Buffer
        The network's input.
    """

    def __init__(self, sound: Sound, buffer: Buffer) -> None:
        self._sound, self._buffer = sound, buffer
        self._windows = int(np.prod(buffer.shape)) // sound.front_end.channels
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._stream = stream_of(self._sound)
        self._heard = self._stream.row

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Return the inputs (N, size of the buffer), int8 codes or float32, that the next int16 samples (n,) complete."""
        self._heard = np.concatenate([self._heard, self._stream.feed(samples)])
        starts = range(0, len(self._heard) - self._windows + 1, self._sound.stride)
        rows = [self._heard[start : start + self._windows] for start in starts]
        self._heard = self._heard[len(starts) * self._sound.stride :]
        return inputs_of(self._stream, rows, self._sound, self._buffer)


def stream_of(sound: Sound) -> SoundStream:
    """Return a front end that has heard nothing yet."""
    return MfccStream(sound.front_end) if isinstance(sound.front_end, MfccFrontEnd) else MicroStream(sound.front_end)


def inputs_of(stream: SoundStream, heard: list[np.ndarray], sound: Sound, buffer: Buffer) -> np.ndarray:
    """Return the inputs (N, size of `buffer`), int8 codes or float32, of the rows that each inference hears."""
    size = int(np.prod(buffer.shape))
    if not heard:
        return np.zeros((0, size), np.int8 if buffer.dtype == "int8" else np.float32)
    features = np.stack([stream.features(rows) for rows in heard]).reshape(len(heard), size)
    if buffer.dtype == "int8":
        return int8_codes(features, thresholds(sound, buffer.scale, buffer.zero_point))
    return real_values(features, sound)
