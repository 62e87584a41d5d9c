"""A network of microWakeWord hears its words by three voices of espeak-ng in noise, and not other speech."""

import shutil

import numpy as np
import pytest

from benchmarks.wake_word import gain, noisy, other_speech, recorded, said
from examples.wake_word import RATE, listener
from tests.conftest import TEST_ALL

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed (apt install espeak-ng)")
LEVEL = 0.3
MINUTES = 5 if TEST_ALL else 0.5


@pytest.fixture(scope="module")
def hear(shared_zoo):
    pipeline = listener(shared_zoo / "mww_v2_okay_nabu.tflite")

    def times(samples):
        pipeline.reset()
        return sum(answer.is_heard for answer in pipeline(samples))

    return times


@pytest.mark.parametrize("voice", ["en-us", "en-gb", "en-us+f3"])
@pytest.mark.parametrize("noise", ["white", "pink"])
def test_words_are_heard_in_noise(voice, noise, hear):
    """15 dB below the voice."""
    clean = np.concatenate([np.zeros(RATE), said("okay nabu", voice, 160), np.zeros(RATE)])
    assert hear(recorded(clean, noisy(noise, 15), LEVEL, np.random.default_rng(1))) == 1


def test_other_speech_is_not(hear):
    """Five minutes under EDGEBN_TEST_ALL=1."""
    rng = np.random.default_rng(2)
    assert hear(recorded(other_speech(MINUTES, rng), gain(1), LEVEL, rng)) == 0
