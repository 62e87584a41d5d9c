"""Records what pymicro-features, the audio front end of TensorFlow Lite Micro as ESPHome runs it, makes of a few sounds."""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pymicro_features import MicroFrontend

UNIT = 0.0390625  # what the package multiplies the integers by
OUT = Path(__file__).resolve().parents[1] / "recorded" / "sound" / "micro_frontend.npz"


def features(samples):
    """Return uint16 (windows, channels)."""
    front_end, data, rows, start = MicroFrontend(), samples.astype("<i2").tobytes(), [], 0
    while start < len(data):
        found = front_end.process_samples(data[start : start + 320])
        start += 2 * found.samples_read
        if found.features:
            rows.append(found.features)
    integers = np.array(rows) / UNIT
    assert (integers == np.rint(integers)).all()
    return integers.astype(np.uint16)


def sounds(count=16000):
    """Return int16 sounds by name: from the quietest to the loudest, and those that make corners of the arithmetic."""
    rng = np.random.default_rng(17)
    t = np.arange(count) / 16000
    loudness = np.repeat(2 ** rng.integers(1, 16, count // 800), 800)
    clicks = np.zeros(count, np.int16)
    clicks[::1000], clicks[500::1777] = -32768, 32767
    return {
        "bursts": (rng.uniform(-1, 1, count) * loudness).astype(np.int16),
        "chirp": (20000 * np.sin(2 * np.pi * (50 + 3600 * t) * t) * np.abs(np.sin(9 * t))).astype(np.int16),
        "clicks": clicks,
        "least": np.full(count // 2, -32768, np.int16),
        "loud": rng.integers(-32768, 32768, count).astype(np.int16),
        "quiet": rng.integers(-3, 4, count).astype(np.int16),
        "silence": np.zeros(count // 2, np.int16),
        "square": np.where(np.sin(2 * np.pi * 440 * t) > 0, 32767, -32768).astype(np.int16),
    }


def main():
    """Write the archive, or with a number compare so many minutes of drawn noise with edgebn's own."""
    if len(sys.argv) > 1:
        from edgebn.preparation.micro_stream import MicroStream

        rng, differing, rows = np.random.default_rng(1), 0, 0
        for _ in range(6 * int(sys.argv[1])):
            volume = np.repeat(10.0 ** rng.uniform(0, 4.6, 100), 1600)
            tones = sum(np.sin(np.cumsum(np.repeat(rng.uniform(0.01, 2.5, 100), 1600))) for _ in range(3))
            sound = np.clip(volume * (rng.normal(0, 0.4, len(volume)) + tones / 3), -32768, 32767).astype(np.int16)
            known, found = features(sound), MicroStream().feed(sound)
            differing, rows = differing + int((known != found).sum()), rows + len(known)
        print(f"{rows} windows, {differing} differing features")
        return
    arrays = {"versions": np.array(f"pymicro-features {version('pymicro-features')}")}
    for name, samples in sounds().items():
        arrays[f"{name}/x"], arrays[f"{name}/y"] = samples, features(samples)
    np.savez_compressed(OUT, **arrays)


if __name__ == "__main__":
    main()
