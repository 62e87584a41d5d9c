"""Recordings of sound: .wav files of 16 bits by Python itself, everything else through soundfile."""

from __future__ import annotations

import contextlib
import wave
from pathlib import Path

import numpy as np

from edgebn.errors import ModelError
from edgebn.live.extras import needed

PCM_BYTES = 2


def read_sound(path: Path, sample_rate: int) -> np.ndarray:
    """Return the samples int16 (n,) of a recording, several channels averaged.

    Raises
    ------
    ModelError
        It is damaged, cut short or empty, or has another sample rate.
    """
    samples, rate = _wave(path) or _any(path)
    if rate != sample_rate:
        raise ModelError(f"{path} is sampled at {rate} Hz, the network takes {sample_rate} Hz; convert it first")
    if not len(samples):
        raise ModelError(f"{path} holds no samples")
    return np.floor(samples.mean(axis=1)).astype(np.int16) if samples.shape[1] > 1 else samples[:, 0].astype(np.int16)


def _wave(path: Path) -> tuple[np.ndarray, int] | None:
    """Return the samples (n, channels) and the rate of a .wav file of 16 bits, None of anything else."""
    if path.suffix.lower() != ".wav":
        return None
    with contextlib.suppress(wave.Error, EOFError), wave.open(str(path), "rb") as file:
        if file.getsampwidth() == PCM_BYTES:
            channels, promised = file.getnchannels(), file.getnframes()
            data = file.readframes(promised)
            found = len(data) // (PCM_BYTES * channels)
            if found < promised:
                raise ModelError(f"{path} is cut short: {found} of the {promised} samples that it promises are there")
            return np.frombuffer(data, "<i2").reshape(-1, channels), file.getframerate()
    return None


def _any(path: Path) -> tuple[np.ndarray, int]:
    soundfile = needed("soundfile", f"{path}: reading such sounds")
    try:
        samples, rate = soundfile.read(str(path), dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ModelError(f"{path} is damaged or no sound file: {error}") from None
    return samples, rate
