"""Sounds that tests and recorders of audio front ends draw alike: int16, one second at 16 kHz, by name."""

import numpy as np


def mfcc_sounds(count=15840):
    """Return sounds of as many windows as MLPerf Tiny's keyword network hears."""
    rng = np.random.default_rng(23)
    t = np.arange(count) / 16000
    voice = sum(np.sin(2 * np.pi * k * (110 + 20 * np.sin(5 * t)) * t) / k for k in range(1, 30))
    envelope = np.clip(np.sin(2 * np.pi * 2.5 * t), 0, 1)
    sounds = {
        "noise": rng.normal(0, 3000, count),
        "whisper": rng.normal(0, 12, count),
        "voice": 6000 * voice * envelope + rng.normal(0, 8, count),
        "cut": np.where(t < 0.6, 9000 * voice * envelope + rng.normal(0, 30, count), 0),
        "loud": rng.uniform(-60000, 60000, count),
    }
    return {name: np.rint(values).clip(-32768, 32767).astype(np.int16) for name, values in sounds.items()}
