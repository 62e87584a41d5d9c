"""A whole recording to the inputs of a network: one for each inference that a stream of it would make."""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError
from edgebn.preparation.data import Sound
from edgebn.preparation.micro_stream import MicroStream
from edgebn.preparation.sound_codes import int8_codes, real_values, thresholds
from edgebn.program import Buffer


def heard(samples: np.ndarray, sound: Sound, buffer: Buffer) -> np.ndarray:
    """Return the inputs (N, size of `buffer`), int8 codes or float32, of int16 samples (n,).

    Raises
    ------
    ModelError
        The recording is shorter than what the network hears at once.
    """
    front = sound.front_end
    features = MicroStream(front).feed(samples)
    windows = int(np.prod(buffer.shape)) // front.channels
    if len(features) < windows:
        needed = front.window + (windows - 1) * front.step
        raise ModelError(f"the sound has {len(samples)} samples, and the network hears {needed} at once")
    values = real_values(features, sound)
    if buffer.dtype == "int8":
        values = int8_codes(features, thresholds(sound, buffer.scale, buffer.zero_point))
    starts = range(0, len(values) - windows + 1, sound.stride)
    return np.stack([values[start : start + windows].reshape(-1) for start in starts])
