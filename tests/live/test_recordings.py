"""Recordings as they come: of other widths and channels, empty, or cut short."""

import wave

import numpy as np
import pytest

from edgebn.errors import ModelError
from edgebn.live.recordings import read_sound

RATE = 16000


def written(path, samples, width=2, channels=1):
    """A .wav file of int16 samples, written with `width` bytes each."""
    shifted = samples.astype(np.int32) << 8 * (width - 2) if width > 2 else samples
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(RATE)
        file.writeframes(b"".join(int(value).to_bytes(width, "little", signed=True) for value in shifted.reshape(-1)))
    return path


def samples(count=1000, channels=1):
    return np.random.default_rng(0).integers(-(1 << 15), 1 << 15, (count, channels)).astype(np.int16)


def test_sixteen_bits_are_what_was_written(tmp_path):
    one, two = samples(), samples(channels=2)
    assert (read_sound(written(tmp_path / "one.wav", one), RATE) == one[:, 0]).all()
    found = read_sound(written(tmp_path / "two.wav", two, channels=2), RATE)
    assert (found == (two.astype(np.int32).sum(axis=1) >> 1)).all()


def test_twenty_four_bits_are_rounded_to_sixteen(tmp_path):
    pytest.importorskip("soundfile")
    one = samples()
    assert (read_sound(written(tmp_path / "one.wav", one, width=3), RATE) == one[:, 0]).all()


def test_what_is_empty_or_cut_is_refused(tmp_path):
    whole = written(tmp_path / "whole.wav", samples()).read_bytes()
    cases = {"none.wav": (written(tmp_path / "none.wav", samples(0)).read_bytes(), "holds no samples"),
             "cut.wav": (whole[:-501], "cut short: 749 of the 1000 samples")}  # fmt: skip
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=message):
            read_sound(tmp_path / name, RATE)
    pytest.importorskip("soundfile")
    for name, data in {"nothing.wav": b"", "header.wav": whole[:30]}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=r"\.wav is damaged or no sound file: \S"):
            read_sound(tmp_path / name, RATE)


def test_another_rate_is_refused(tmp_path):
    with pytest.raises(ModelError, match="sampled at 16000 Hz, the network takes 8000 Hz"):
        read_sound(written(tmp_path / "one.wav", samples()), 8000)
