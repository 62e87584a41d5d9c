"""The audio front end beside pymicro-features itself, on speech of espeak-ng and noise: no byte differs.

EDGEBN_TEST_ALL=1: ten minutes of it, and the C on every emulated core.
"""

import shutil

import numpy as np
import pytest

from benchmarks.wake_word import NOISES, RATE, gain, noisy, other_speech, recorded
from edgebn.preparation.data import MicroFrontEnd
from edgebn.preparation.micro_reference import micro_features
from edgebn.preparation.micro_stream import MicroStream
from tests import emitted
from tests.conftest import TEST_ALL
from tests.preparation.test_sound import CORES, in_c, network

pytest.importorskip("pymicro_features", reason="pymicro-features is not to be had here")

from tests.recorders.record_micro_frontend import features

SECONDS = 600 if TEST_ALL else 12
BY_NUMPY = RATE  # samples
IN_C = 2 * RATE


@pytest.fixture(scope="module")
def sound():
    """Speech in quiet and in every noise, at levels from a whisper to clipped; without espeak-ng noise alone."""
    rng = np.random.default_rng(31)
    rooms = [gain(1), *(noisy(name, rng.uniform(-5, 20)) for name in NOISES)]
    part = SECONDS * RATE // len(rooms)
    if shutil.which("espeak-ng") is None:
        return rng.normal(0, 2000, SECONDS * RATE).clip(-32768, 32767).astype(np.int16)
    speech = other_speech(part / RATE / 60, rng)[:part]
    loudness = np.repeat(10.0 ** rng.uniform(-3, 0.3, part // RATE + 1), RATE)[:part]
    return np.concatenate([recorded(speech * loudness, room, 1.0, rng) for room in rooms])


@pytest.fixture(scope="module")
def known(sound):
    return features(sound)


def test_every_feature_is_that_of_pymicro_features(sound, known):
    assert len(known) >= SECONDS * 100 - 4
    assert known.std(axis=0).min() > 20  # it was no silence
    np.testing.assert_array_equal(MicroStream().feed(sound), known)


def test_the_specification_gives_them_too(sound, known):
    found = micro_features(sound[:BY_NUMPY], MicroFrontEnd())
    np.testing.assert_array_equal(found, known[: len(found)])


@pytest.mark.parametrize("board", CORES if TEST_ALL else CORES[:1])
def test_c_gives_them_on_every_core(board, sound, tmp_path):
    """Whole features, not codes: float32 holds them exactly. What C is compared with is what the tests above hold."""
    model = network(MicroFrontEnd(), 1, dtype="float32", scale=1.0)
    part = sound[-IN_C:]  # in the last noise
    in_c(model, part, tmp_path / "out", emitted.board_or_skip(board))
