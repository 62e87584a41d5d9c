"""How often a wake word is missed, at a fixed number of false wakes an hour, in quiet and in noise; the speech is espeak-ng's.

    python -m benchmarks.wake_word MODEL.tflite [--words "okay nabu"] [--voices 10] [--false-minutes 60] [--per-hour 0.5]
        [--level 0.3] [--signal-to-noise 5] [--json FILE]

Rooms are quiet, five noises, three gains and two bands. In each the words are said by all voices at three speeds, and other speech
goes on for so many minutes. Misses are counted with one cutoff, the least that keeps other speech in quiet within the false wakes,
and with the least one that does so in that very room. With few minutes of speech "half a wake an hour" is "never in them".

There is no "after adapting": such networks keep states from run to run, and `edgebn.adaptable` refuses them (docs/adaptation.md).
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edgebn
from examples.wake_word import RATE, listener, spoken

VOICES = (
    *("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-us+f2", "en-us+f3", "en-us+f5", "en-us+m3", "en-us+m7"),
    *("en-gb+f4", "en-gb+m1", "en-gb+m5", "en-029+f2", "en-gb-x-gbclan"),
)
SPEEDS = (130, 160, 190)  # words a minute
SENTENCES = (
    "The kettle is on the stove and the tea will be ready in five minutes.",
    "Could you tell me where the nearest railway station is, please?",
    "Okay, never mind, we can look at the new map tomorrow morning.",
    "She sold the old boat and bought a small house by the lake.",
    "It has been raining all week, and the garden is full of snails.",
    "Nobody knew how many people would come to the harbour that evening.",
    "The number you have dialled is not available at the moment.",
    "Turn left after the bridge, and keep going until you see the church.",
    "Bananas, oranges, a loaf of bread, and a bottle of milk.",
    "Okay, now put the flour into the bowl and stir it slowly.",
)
Room = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@functools.cache
def said(words: str, voice: str, speed: int) -> np.ndarray:
    """Return speech whose loudest sample is 1."""
    samples = spoken(words, voice, speed)
    loud: np.ndarray = samples / max(1.0, float(np.abs(samples).max()))
    return loud


def other_speech(minutes: float, rng: np.random.Generator) -> np.ndarray:
    """Return sentences by all voices and speeds, with pauses."""
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < minutes * 60 * RATE:
        parts.append(said(str(rng.choice(SENTENCES)), str(rng.choice(VOICES)), int(rng.choice(SPEEDS))))
        parts.append(np.zeros(int(rng.integers(RATE // 4, RATE))))
    return np.concatenate(parts)


def _coloured(count: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.normal(0, 1, count))
    frequencies = np.fft.rfftfreq(count, 1 / RATE)
    made: np.ndarray = np.fft.irfft(spectrum * np.maximum(frequencies, 20.0) ** slope, count)
    return made


def _babble(count: int, rng: np.random.Generator) -> np.ndarray:
    talks = [other_speech(count / RATE / 60 + 0.05, rng) for _ in range(5)]
    total: np.ndarray = np.sum([talk[:count] for talk in talks], axis=0)
    return total


def _hum(count: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(count) / RATE
    total: np.ndarray = np.sum([np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in range(1, 20)], axis=0)
    return total


def _fan(count: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(count) / RATE
    blades: np.ndarray = _coloured(count, -0.8, rng) * (1 + 0.5 * np.sin(2 * np.pi * 23 * t))
    return blades


NOISES: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "white": lambda count, rng: rng.normal(0, 1, count),
    "pink": lambda count, rng: _coloured(count, -0.5, rng),
    "babble": _babble,
    "hum": _hum,
    "fan": _fan,
}


def noisy(name: str, decibels: float) -> Room:
    """Return a room with that noise so far below speech (power while it is spoken)."""

    def room(clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = NOISES[name](len(clean), rng)
        power = float((clean[np.abs(clean) > 1e-3] ** 2).mean())
        mixed: np.ndarray = clean + noise * np.sqrt(power / float((noise**2).mean()) / 10 ** (decibels / 10))
        return mixed

    return room


def band(low: float, high: float) -> Room:
    """Return a room whose microphone lets through these frequencies."""

    def room(clean: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
        spectrum = np.fft.rfft(clean)
        frequencies = np.fft.rfftfreq(len(clean), 1 / RATE)
        limited: np.ndarray = np.fft.irfft(spectrum * ((frequencies >= low) & (frequencies <= high)), len(clean))
        return limited

    return room


def gain(factor: float) -> Room:
    """Return a room whose microphone is so much more sensitive."""
    return lambda clean, _rng: clean * factor


def rooms(decibels: float) -> dict[str, Room]:
    """Return all rooms by name."""
    return {
        "quiet": gain(1),
        **{f"{name}, {decibels:g} dB": noisy(name, decibels) for name in NOISES},
        **{f"gain {factor:g}": gain(factor) for factor in (0.02, 0.1, 5)},
        "300 to 3400 Hz": band(300, 3400),
        "up to 2000 Hz": band(0, 2000),
    }


def recorded(clean: np.ndarray, room: Room, level: float, rng: np.random.Generator) -> np.ndarray:
    """Return what the microphone of a room gives: int16, with a little noise of its own."""
    sound = room(clean * level, rng) * 32767 + rng.normal(0, 3, len(clean))
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def scores(pipeline: edgebn.Pipeline, samples: np.ndarray) -> np.ndarray:
    """Return the sliding averages, from a start where nothing was heard."""
    pipeline.reset()
    return np.array([answer.score for answer in pipeline(samples)])


def wakes(values: np.ndarray, cutoff: float, refractory: int = 25) -> int:
    """Count how often averages pass a cutoff, those right behind one not again."""
    count, until = 0, -1
    for index in np.flatnonzero(values > cutoff):
        if index > until:
            count, until = count + 1, index + refractory
    return count


def least_cutoff(values: np.ndarray, allowed: float) -> float:
    """Return the least of a hundred cutoffs with no more wakes than allowed."""
    return next((c for c in np.linspace(0.05, 0.995, 100) if wakes(values, c) <= allowed), 0.995)


def missed(pipeline: edgebn.Pipeline, spoken_words: list[np.ndarray], cutoff: float) -> float:
    """Return the share of recordings in which nothing is heard."""
    return float(np.mean([not (scores(pipeline, sound) > cutoff).any() for sound in spoken_words]))


def main() -> None:
    """Measure every room and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--words", default="okay nabu")
    parser.add_argument("--voices", type=int, default=10)
    parser.add_argument("--false-minutes", type=float, default=60)
    parser.add_argument("--per-hour", type=float, default=0.5)
    parser.add_argument("--level", type=float, default=0.3, help="loudest sample of speech, as a share of the largest")
    parser.add_argument("--signal-to-noise", type=float, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(17)
    pause = np.zeros(RATE)
    words = [
        np.concatenate([pause, said(given.words, voice, speed), pause]) for voice in VOICES[: given.voices] for speed in SPEEDS
    ]
    others = other_speech(given.false_minutes, rng)
    allowed = given.per_hour * given.false_minutes / 60
    plain = listener(given.model, given.words)
    cutoff = least_cutoff(scores(plain, recorded(others, gain(1), given.level, rng)), allowed)
    print(f"cutoff {cutoff:.3f}: at most {given.per_hour:g} false wakes an hour in quiet, {len(words)} times {given.words!r}")
    rows: list[dict[str, Any]] = []
    for name, room in rooms(given.signal_to_noise).items():
        heard = [recorded(word, room, given.level, rng) for word in words]
        others_here = recorded(others, room, given.level, rng)
        found = scores(plain, others_here)
        own = least_cutoff(found, allowed)
        rows.append(
            {
                "room": name,
                "missed": missed(plain, heard, cutoff),
                "false_an_hour": wakes(found, cutoff) * 60 / given.false_minutes,
                "own_cutoff": own,
                "missed_at_own_cutoff": missed(plain, heard, own),
            }
        )
        print(", ".join(f"{key} {v:.3g}" if isinstance(v, float) else f"{key} {v}" for key, v in rows[-1].items()), flush=True)
    if given.json:
        told = {"cutoff": cutoff, "rooms": rows, "settings": {k: str(v) for k, v in vars(given).items()}}
        given.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
