"""The audio front end beside pymicro-features itself, on speech of espeak-ng and noise: no byte differs.

EDGEBN_TEST_ALL=1: ten minutes of it, and the C on every emulated core.
"""

import ctypes
import ctypes.util
import shutil

import numpy as np
import pytest

from benchmarks.wake_word import NOISES, RATE, gain, noisy, other_speech, recorded
from edgebn.preparation.data import MicroFrontEnd
from edgebn.preparation.micro_reference import micro_features
from edgebn.preparation.micro_stream import MicroStream
from edgebn.preparation.micro_tables import log1pf as log1pf_of_devices
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


def other_logarithm():
    """Whether this system's `log1pf`, of which pymicro-features makes weights, rounds unlike a device's: since glibc 2.41."""
    log1pf = ctypes.CDLL(ctypes.util.find_library("m")).log1pf
    log1pf.restype, log1pf.argtypes = ctypes.c_float, [ctypes.c_float]
    hertz = np.float32(RATE / 2 / 256) * np.arange(256, dtype=np.float32)
    return any(log1pf(float(x)) != log1pf_of_devices(x) for x in hertz / np.float32(700))


def test_every_feature_is_that_of_pymicro_features(sound, known):
    assert len(known) >= SECONDS * 100 - 4
    assert known.std(axis=0).min() > 20  # it was no silence
    found = MicroStream().feed(sound)
    if other_logarithm():
        differ = np.abs(found.astype(int) - known)[found != known]
        assert len(differ) <= 2e-4 * known.size
        assert differ.max(initial=0) <= 8  # of 670
    else:
        np.testing.assert_array_equal(found, known)


def test_the_specification_gives_them_too(sound, known):
    found = micro_features(sound[:BY_NUMPY], MicroFrontEnd())
    np.testing.assert_array_equal(found, known[: len(found)])


@pytest.mark.parametrize("board", CORES if TEST_ALL else CORES[:1])
def test_c_gives_them_on_every_core(board, sound, tmp_path):
    """Whole features, not codes: float32 holds them exactly. What C is compared with is what the tests above hold."""
    model = network(MicroFrontEnd(), 1, dtype="float32", scale=1.0)
    part = sound[-IN_C:]  # in the last noise
    in_c(model, part, tmp_path / "out", emitted.board_or_skip(board))
