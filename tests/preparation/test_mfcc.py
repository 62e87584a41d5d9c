"""MFCCs: near what Keras and librosa recorded, the same integers from NumPy, Numba and C on every core, in pieces of any length."""

import numpy as np
import pytest

import edgebn
from edgebn.errors import ModelError
from edgebn.pipeline import Pipeline
from edgebn.preparation import mfcc_stream
from edgebn.preparation.data import MFCC_OFFSET, MFCC_SCALE, MfccFrontEnd, Sound
from edgebn.preparation.mfcc_reference import mfcc_features, mfcc_rows
from edgebn.preparation.mfcc_tables import SILENT
from edgebn.preparation.sounds import heard
from tests import emitted
from tests.preparation.sound_samples import mfcc_sounds
from tests.preparation.test_sound import CORES, SANITIZERS, in_c, network

REAL = {"scale": MFCC_SCALE, "offset": MFCC_OFFSET}
OTHERS = (
    MfccFrontEnd(window_ms=16, step_ms=7, filters=20, channels=20),  # 256 samples: an FFT with a stage of twos
    MfccFrontEnd(sample_rate=8000, window_ms=25, upper_hz=3800.0, normalize=False),
    MfccFrontEnd(window_ms=64, step_ms=64, filters=64, channels=13, lower_hz=0.0, upper_hz=7900.0),
)
SOUNDS = mfcc_sounds()


@pytest.mark.parametrize("by", ["keras", "librosa"])
@pytest.mark.parametrize("name", SOUNDS)
def test_the_specification_is_near_what_was_recorded(name, by, recorded):
    with np.load(recorded / "sound" / "mfcc.npz") as archive:
        known = archive[f"{name}_{by}"]
    found = mfcc_features(mfcc_rows(SOUNDS[name], MfccFrontEnd()), MfccFrontEnd()) * MFCC_SCALE + MFCC_OFFSET
    assert np.abs(found - known).max() <= 0.03


@pytest.mark.parametrize("settings", [MfccFrontEnd(), *OTHERS])
@pytest.mark.parametrize("name", ["cut", "whisper", "loud"])
def test_numba_gives_the_same_in_pieces(name, settings):
    samples = SOUNDS[name][:6000]
    stream, rows, at = mfcc_stream.MfccStream(settings), [], 0
    for size in (1, 700, 13, 2000, 9999):
        rows.append(stream.feed(samples[at : at + size]))
        at += size
    np.testing.assert_array_equal(np.concatenate(rows), mfcc_rows(samples, settings))


def test_without_numba(monkeypatch):
    monkeypatch.setattr(mfcc_stream, "find_spec", lambda _: None)
    samples = SOUNDS["voice"][:3000]
    np.testing.assert_array_equal(mfcc_stream.MfccStream().feed(samples), mfcc_rows(samples, MfccFrontEnd()))


def test_silence_and_the_largest_numbers():
    silent = mfcc_rows(np.zeros(1000, np.int16), MfccFrontEnd())
    assert (silent[:, :-1] == SILENT).all()
    known = 40 * np.log(1e-6) * np.sqrt(2 / 40)
    np.testing.assert_allclose(mfcc_features(silent, MfccFrontEnd())[:, 0] * MFCC_SCALE + MFCC_OFFSET, known, atol=0.1)
    most = MfccFrontEnd(filters=64, channels=64, upper_hz=7900.0)
    least = np.full(2000, -32768, np.int16)
    least[::2] = 1  # the loudest sample counts as 1, the others are 32768 times as large
    rows = mfcc_rows(least, most)
    np.testing.assert_array_equal(mfcc_stream.MfccStream(most).feed(least), rows)
    mfcc_features(rows, most)


@pytest.mark.parametrize("name", CORES)
def test_c_gives_the_same_bytes(name, tmp_path):
    board = emitted.board_or_skip(name)
    flags = SANITIZERS if name == "host" else ()
    in_c(network(MfccFrontEnd(), 3, stride=3, **REAL), SOUNDS["cut"][:8000], tmp_path / "out", board, flags)


@pytest.mark.parametrize(
    ("settings", "options"), [*((settings, {}) for settings in OTHERS), (MfccFrontEnd(), {"dtype": "float32", "stride": 2})]
)
def test_c_gives_the_same_bytes_with_other_settings(settings, options, tmp_path):
    board = emitted.board_or_skip("host")
    for name in ("cut", "loud"):
        in_c(network(settings, 4, **REAL, **options), SOUNDS[name][7000:13000], tmp_path / "out", board, SANITIZERS)


def test_a_pipeline_hears_what_a_recording_gives(tmp_path):
    model = network(MfccFrontEnd(), 5, dtype="float32", stride=2, **REAL)
    edgebn.save(model, tmp_path / "ear.edgebn")
    model = edgebn.load(tmp_path / "ear.edgebn")
    pipeline = Pipeline(model)
    answers = [answer for part in np.array_split(SOUNDS["voice"], 7) for answer in pipeline(part)]
    np.testing.assert_array_equal(np.stack(answers), heard(SOUNDS["voice"], model.preparation.before, model.buffers["x"]))


@pytest.mark.parametrize(
    "settings",
    [MfccFrontEnd(filters=65), MfccFrontEnd(channels=41), MfccFrontEnd(upper_hz=8000.0), MfccFrontEnd(step_ms=31)],
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ModelError, match="the MFCC front end needs"):
        mfcc_rows(np.zeros(1000, np.int16), settings)
    with pytest.raises(ModelError, match="the MFCC front end needs"):
        network(settings, 3)


def test_integers_of_another_front_end_are_refused():
    with pytest.raises(ModelError, match="not for MFCCs"):
        edgebn.prepare(network(MfccFrontEnd(), 3, **REAL), sound=Sound(MfccFrontEnd(), codes="micro_speech"))
