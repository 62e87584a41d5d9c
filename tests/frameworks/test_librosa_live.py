"""MFCCs of MLPerf Tiny's keyword network beside live librosa, second by second of speech by espeak-ng and noise.

The tolerance is the one that docs/preparation.md states.
"""

import os
import shutil

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("librosa", reason="live comparison: runs in the frameworks' environment of `make test-all`")
pytest.importorskip("keras", reason="live comparison: runs in the frameworks' environment of `make test-all`")

from benchmarks.wake_word import NOISES, RATE, gain, noisy, other_speech, recorded
from edgebn.preparation.data import MFCC_OFFSET, MFCC_SCALE, MfccFrontEnd
from edgebn.preparation.mfcc_reference import mfcc_features, mfcc_rows
from edgebn.preparation.mfcc_stream import MfccStream
from tests.conftest import TEST_ALL
from tests.recorders.record_mfcc import by_librosa

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras' and librosa's own

NEAR = 0.1
NEAR_HUM = 0.2  # lines far above what lies in the other filters
SECONDS = 60 if TEST_ALL else 10
HEARD = 48 * 320 + 480  # samples of 49 windows: the loudest of a second that none of them has does not count
ROOMS = {"quiet": gain(1), **{f"{name} at {decibels} dB": noisy(name, decibels) for name in NOISES for decibels in (15, 0)}}


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed (apt install espeak-ng)")
@pytest.mark.parametrize("level", [0.02, 1.0])
@pytest.mark.parametrize("room", ROOMS)
def test_coefficients_are_near_librosas(room, level):
    rng = np.random.default_rng(len(room))
    sound = recorded(other_speech(SECONDS / 60, rng)[: SECONDS * RATE], ROOMS[room], level, rng)
    front_end, furthest = MfccFrontEnd(), 0.0
    for second in sound.reshape(SECONDS, RATE)[:, :HEARD]:
        known = by_librosa(second.astype(np.float64) / max(int(second.max()), 1))  # the loudest sample counts as 1
        rows = MfccStream(front_end).feed(second)
        found = mfcc_features(rows, front_end) * MFCC_SCALE + MFCC_OFFSET
        furthest = max(furthest, float(np.abs(found - known).max()))
    np.testing.assert_array_equal(rows, mfcc_rows(second, front_end))
    assert furthest <= (NEAR_HUM if "hum" in room else NEAR)
