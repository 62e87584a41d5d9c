"""Hear a wake word in speech that espeak-ng makes (`apt install espeak-ng`), with a network of microWakeWord.

    python examples/wake_word.py MODEL.tflite [--words "okay nabu"] [--voice en-us]

MODEL: for instance okay_nabu.tflite of microWakeWord's models, version 2. From a microphone it is

    edgebn prepare MODEL.tflite --sound micro --codes micro_speech --wake-word "okay nabu" -o nabu.edgebn
    edgebn live nabu.edgebn --microphone
"""

from __future__ import annotations

import argparse
import io
import subprocess
import wave

import numpy as np

import edgebn
from edgebn.preparation.data import MicroFrontEnd, Sound, WakeWord

RATE = 16000  # samples a second that the network hears
CUTOFF = 0.85  # what the mean of five probabilities must be above


def listener(path, name="okay nabu"):
    """Load the network and say what stands before and behind it."""
    model = edgebn.load(path)
    new_windows = model.shapes[model.inputs[0]][0]  # it keeps states: every window is given once
    sound = Sound(MicroFrontEnd(), codes="micro_speech", stride=new_windows)
    return edgebn.Pipeline(edgebn.prepare(model, sound=sound, answer=WakeWord(name, cutoff=CUTOFF)))


def spoken(words, voice="en-us", words_a_minute=160):
    """Return speech as float64 samples at 16 kHz, within the range of int16."""
    command = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "--stdout", words]
    with wave.open(io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(1 << 30), "<i2")
    seconds = np.arange(round(len(samples) * RATE / rate)) / RATE
    return np.interp(seconds * rate, np.arange(len(samples)), samples)


def main(arguments=None):
    """Say something else, then the words, and print when they are heard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--words", default="okay nabu")
    parser.add_argument("--voice", default="en-us")
    given = parser.parse_args(arguments)
    pause = np.zeros(RATE)
    said = [pause, spoken("The kettle is on the stove.", given.voice), pause, spoken(given.words, given.voice), pause]
    noise = np.random.default_rng(0).normal(0, 100, sum(map(len, said)))
    samples = np.clip(np.concatenate(said) / 2 + noise, -32768, 32767).astype(np.int16)

    pipeline = listener(given.model, given.words)
    heard = 0
    for start in range(0, len(samples), RATE // 10):  # as a microphone would bring it
        for answer in pipeline(samples[start : start + RATE // 10]):
            if answer.is_heard:
                heard += 1
                print(f"{start / RATE:.1f} s: heard {answer.name!r}, {answer.score:.2f}")
    print(f"heard {heard} time{'s' if heard != 1 else ''} in {len(samples) / RATE:.1f} s")


if __name__ == "__main__":
    main()
