"""How often a wake word is missed, at a fixed number of false wakes an hour, in quiet and in noise; the speech is espeak-ng's.

    python -m benchmarks.wake_word MODEL.tflite [--words "okay nabu"] [--class-index 9] [--voices 10] [--false-minutes 60]
        [--per-hour 0.5] [--level 0.3] [--signal-to-noise 5] [--room-minutes 10] [--strength 0.3] [--json FILE]

Rooms are quiet, five noises, three gains and two bands. In each the words are said by all voices at three speeds, and other speech
goes on for so many minutes. Misses are counted with one cutoff, the least that keeps other speech in quiet within the false wakes,
and with the least one that does so in that very room. With few minutes of speech "half a wake an hour" is "never in them".

Then the same again after adapting, without labels, to minutes of that room in which voices of its own talk and now and then
say the words. Home is the same in quiet. `--strength` is in place of what `edgebn.adaptable` measures. `--class-index` is for a
network that hears words in a second of coefficients (MLPerf Tiny's): the number of `--words` among its classes.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import edgebn
from edgebn.preparation.data import MFCC_OFFSET, MFCC_SCALE, MfccFrontEnd, Sound
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
OWN_VOICES = VOICES[10:]  # those of homes and rooms, which say no word that is counted
WORDS_EVERY = 0.25  # of what is said there
HOME_MINUTES = 5
AVERAGED = 3  # scores of a word in a second
STRIDE = 10  # windows of 20 ms from one second to the next
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


@dataclass(frozen=True)
class Listener:
    """A network and how its score is read.

    Attributes
    ----------
    pipeline : Pipeline
    column : int or None
        Of its output; None where its answers are those of a wake word.
    """

    pipeline: edgebn.Pipeline
    column: int | None = None

    def scores(self, samples: np.ndarray) -> np.ndarray:
        """Return sliding averages, from a start where nothing was heard."""
        self.pipeline.reset()
        answers = self.pipeline(samples)
        if self.column is None:
            return np.array([answer.score for answer in answers])
        model = self.pipeline.model
        buffer = model.buffers[model.outputs[0]]
        found = np.array([answer[self.column] for answer in answers])
        real = found if found.dtype == np.float32 else (found.astype(np.int64) - buffer.zero_point) * buffer.scale
        averaged: np.ndarray = np.convolve(real, np.full(AVERAGED, 1 / AVERAGED), "valid")
        return averaged

    def adaptable(self, samples: np.ndarray, strength: float | None) -> Listener:
        """Return it with tables that are measured where nothing is wrong."""
        heard: list[np.ndarray] = []
        self.pipeline.reset()
        session = self.pipeline.session

        def run(x: Any) -> Any:
            heard.append(x)
            return session.run(x)

        self.pipeline.run_by(run)
        self.pipeline(samples)
        self.pipeline.run_by(session.run)
        model = edgebn.adaptable(self.pipeline.model, np.concatenate(heard))
        assert model.adaptation is not None
        if strength is not None:
            model = replace(model, adaptation=replace(model.adaptation, strength=strength))
        return replace(self, pipeline=edgebn.Pipeline(model))

    def after(self, samples: np.ndarray) -> tuple[Listener, dict[str, float]]:
        """Return it as it is after these, in which it is told nothing, and how far it went."""
        pipeline = edgebn.Pipeline(self.pipeline.model, adapt=True)
        pipeline(samples)
        pipeline.adapter.freeze()
        pipeline.run_by(pipeline.session.run)
        layers = pipeline.adapter.report().layers
        told = {"gate": layers[0].gate, "energy": float(np.mean([layer.energy for layer in layers]))}
        return replace(self, pipeline=pipeline), told


def heard_by(path: Path, words: str, class_index: int | None) -> Listener:
    """Return the network behind its front end."""
    if class_index is None:
        return Listener(listener(path, words))
    sound = Sound(MfccFrontEnd(), scale=MFCC_SCALE, offset=MFCC_OFFSET, stride=STRIDE)
    return Listener(edgebn.Pipeline(edgebn.prepare(edgebn.load(path), sound=sound)), class_index)


def life(minutes: float, words: str, rng: np.random.Generator) -> np.ndarray:
    """Return what is said in a room: sentences and now and then the words, louder and quieter, with pauses."""
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < minutes * 60 * RATE:
        text = words if rng.random() < WORDS_EVERY else str(rng.choice(SENTENCES))
        parts.append(said(text, str(rng.choice(OWN_VOICES)), int(rng.choice(SPEEDS))) * rng.uniform(0.3, 1))
        parts.append(np.zeros(int(rng.integers(RATE // 4, 2 * RATE))))
    return np.concatenate(parts)


def wakes(values: np.ndarray, cutoff: float, refractory: int = 25) -> int:
    """Count how often averages pass a cutoff, those right behind one not again."""
    count, until = 0, -1
    for index in np.flatnonzero(values > cutoff):
        if index > until:
            count, until = count + 1, int(index) + refractory
    return count


def least_cutoff(values: np.ndarray, allowed: float) -> float:
    """Return the least of a hundred cutoffs with no more wakes than allowed."""
    return next((c for c in np.linspace(0.05, 0.995, 100) if wakes(values, c) <= allowed), 0.995)


def missed(one: Listener, spoken_words: list[np.ndarray], cutoff: float) -> float:
    """Return the share of recordings in which nothing is heard."""
    return float(np.mean([not (one.scores(sound) > cutoff).any() for sound in spoken_words]))


def measured(one: Listener, heard: list[np.ndarray], others: np.ndarray, cutoff: float, allowed: float) -> dict[str, float]:
    """Return misses and false wakes with that cutoff, and with the least one that gives no more false wakes than `allowed` here."""
    found, minutes = one.scores(others), len(others) / RATE / 60
    own = least_cutoff(found, allowed)
    return {
        "missed": missed(one, heard, cutoff),
        "false_an_hour": wakes(found, cutoff) * 60 / minutes,
        "own_cutoff": own,
        "missed_at_own_cutoff": missed(one, heard, own),
    }


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
    parser.add_argument("--room-minutes", type=float, default=10)
    parser.add_argument("--strength", type=float)
    parser.add_argument("--class-index", type=int)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(17)
    pause = np.zeros(RATE)
    words = [
        np.concatenate([pause, said(given.words, voice, speed), pause]) for voice in VOICES[: given.voices] for speed in SPEEDS
    ]
    others = other_speech(given.false_minutes, rng)
    home = recorded(life(HOME_MINUTES, given.words, rng), gain(1), given.level, rng)
    talk = life(given.room_minutes, given.words, rng)
    plain = heard_by(given.model, given.words, given.class_index).adaptable(home, given.strength)
    adaptation = plain.pipeline.model.adaptation
    assert adaptation is not None
    quiet = plain.scores(recorded(others, gain(1), given.level, rng))
    allowed = given.per_hour * given.false_minutes / 60
    cutoff = least_cutoff(quiet, allowed)
    print(f"cutoff {cutoff:.3f}: at most {given.per_hour:g} false wakes an hour in quiet, {len(words)} times {given.words!r}")
    print(f"strength {adaptation.strength:.3f}; {given.room_minutes:g} minutes of each room to adapt to")
    rows: list[dict[str, Any]] = []
    for name, room in rooms(given.signal_to_noise).items():
        heard = [recorded(word, room, given.level, rng) for word in words]
        others_here = recorded(others, room, given.level, rng)
        adapted, told = plain.after(recorded(talk, room, given.level, rng))
        rows.append({"room": name, **told})
        for when, one in (("before", plain), ("after", adapted)):
            rows[-1][when] = measured(one, heard, others_here, cutoff, allowed)
            numbers = ", ".join(f"{key} {value:.3g}" for key, value in rows[-1][when].items())
            print(f"{name}, {when}: {numbers}", flush=True)
        print(f"{name}: gate {told['gate']:.2f}, energy {told['energy']:.2f}", flush=True)
    if given.json:
        settings = {key: str(value) for key, value in vars(given).items()}
        whole = {"cutoff": cutoff, "strength": adaptation.strength, "rooms": rows, "settings": settings}
        given.json.write_text(json.dumps(whole, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
