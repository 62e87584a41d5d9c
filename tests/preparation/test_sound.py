"""The audio front end: pymicro-features' own integers from NumPy, Numba and C on every core, streamed in pieces of any length."""

import dataclasses
import shutil

import numpy as np
import pytest

import codegen
import edgebn
from boards import emulator
from codegen.constants import declarations, definition
from codegen.stepcode import CArray
from edgebn import program as p
from edgebn.errors import ModelError
from edgebn.preparation import micro_stream
from edgebn.preparation.data import MicroFrontEnd, Sound
from edgebn.preparation.micro_reference import micro_features
from edgebn.preparation.sound_codes import int8_codes, real_values, thresholds
from edgebn.preparation.sounds import heard
from tests import emitted

NAMES = ("bursts", "chirp", "clicks", "least", "loud", "quiet", "silence", "square")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CORES = ("host", "microbit", "mps2-an385", "mps2-an386", "mps3-an547", "qemu-riscv32-virt")
OTHERS = (
    MicroFrontEnd(window_ms=16, step_ms=7, channels=20),  # 256 samples: an FFT with a stage of twos
    MicroFrontEnd(sample_rate=8000, window_ms=25, upper_hz=3800.0, pcan=False),
    MicroFrontEnd(log=False, smoothing_bits=4, even_smoothing=0.5, min_signal_remaining=0.0),
    MicroFrontEnd(window_ms=64, step_ms=64, channels=64, lower_hz=20.0, pcan_gain_bits=24, log_scale_shift=3),
)


@pytest.fixture(scope="module")
def sounds(recorded):
    with np.load(recorded / "sound" / "micro_frontend.npz") as archive:
        return {name: (archive[f"{name}/x"], archive[f"{name}/y"]) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_specification_gives_the_recorded_integers(name, sounds):
    samples, known = sounds[name]
    np.testing.assert_array_equal(micro_features(samples, MicroFrontEnd()), known)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_gives_them_whatever_the_pieces(name, sounds):
    samples, known = sounds[name]
    rng = np.random.default_rng(len(name))
    stream = micro_stream.MicroStream()
    for longest in (1, 2000):
        stream.reset()
        ends = np.cumsum(rng.integers(0, longest + 1, len(samples)))
        parts = [stream.feed(part) for part in np.split(samples, ends[ends < len(samples)])]
        np.testing.assert_array_equal(np.concatenate(parts), known)


def test_without_numba_it_is_the_specification(sounds, monkeypatch):
    samples, known = sounds["bursts"]
    monkeypatch.setattr(micro_stream, "find_spec", lambda _: None)
    stream = micro_stream.MicroStream()
    parts = [stream.feed(samples[:5000]), stream.feed(samples[5000:])]
    np.testing.assert_array_equal(np.concatenate(parts), known)


@pytest.mark.parametrize("settings", OTHERS)
def test_other_settings_agree(settings, sounds):
    for name in ("bursts", "clicks"):
        samples = sounds[name][0]
        np.testing.assert_array_equal(micro_stream.MicroStream(settings).feed(samples), micro_features(samples, settings))


def test_codes_are_the_quantised_numbers():
    sound = Sound(MicroFrontEnd())
    every = np.arange(1 << 16).astype(np.uint16)
    codes = int8_codes(every, thresholds(sound, 0.1, -128))
    expected = np.clip(np.rint(real_values(every, sound) / np.float32(0.1)) - 128, -128, 127)
    np.testing.assert_array_equal(codes, expected)
    # micro_speech's own integers
    codes = int8_codes(every, thresholds(dataclasses.replace(sound, codes="micro_speech"), 0.1, -128))
    np.testing.assert_array_equal(codes, np.minimum((every.astype(int) * 256 + 333) // 666 - 128, 127))


def network(front_end, windows, dtype="int8", **settings):
    """Return a network that hands its input on, behind a front end."""
    size = windows * front_end.channels
    buffers = {name: p.Buffer(name, (1, 1, size), dtype, 0.1, -128) for name in ("x", "y")}
    model = p.Program(
        "ear",
        "ear.tflite",
        "made",
        False,
        buffers,
        {},
        (p.Reshape("copy", ("x",), "y"),),
        ("x",),
        ("y",),
        {"x": (size,), "y": (size,)},
    )
    return edgebn.prepare(model, sound=Sound(front_end, **settings))


MAIN = """
#include <string.h>
#include "board/board.h"
#include "ear.h"
#include "ear_sound.h"

{arrays}
static {element} input[{size}], output[{size}];

int main(void) {{
    int32_t at = 0, found = 0, wrong = 0, piece = 0, ready;
    uint64_t ticks = board_ticks();

    ear_init();
    ear_sound_reset();
    while (at < {samples}) {{
        const int32_t count = {samples} - at < 1 + piece % 997 ? {samples} - at : 1 + piece % 997;
        int32_t taken = 0;
        while (taken < count) {{
            taken += ear_sound_feed(heard + at + taken, count - taken, input, &ready);
            if (ready) {{
                ear_run(input, output);
                wrong += found >= {inferences} || memcmp(output, expected + found * {size}, sizeof output) != 0;
                found++;
            }}
        }}
        at += count;
        piece += 331;
    }}
    ticks = board_ticks() - ticks;
    board_put((uint8_t)('0' + (found == {inferences} && wrong == 0)));
    for (; ticks > 0; ticks /= 10) {{
        board_put((uint8_t)('0' + ticks % 10)); /* the last digit first */
    }}
    return wrong != 0 || found != {inferences};
}}
"""


def in_c(model, samples, folder, board, flags=()):
    """Emit the network, feed it the samples in pieces, compare every inference's input; return the ticks."""
    sound = model.preparation.before
    buffer = model.buffers["x"]
    inputs = heard(samples, sound, buffer)
    shutil.rmtree(folder, ignore_errors=True)
    project = codegen.emit(model, folder, board=board.name, name="ear")
    element = {"int8": "int8_t", "float32": "float"}[buffer.dtype]
    arrays = [CArray("heard", "int16_t", samples, ""), CArray("expected", element, inputs, "")]
    text = declarations(arrays) + "\n".join(definition(array) for array in arrays)
    (folder / "self_test.c").write_text(
        MAIN.format(arrays=text, element=element, size=inputs.shape[1], samples=len(samples), inferences=len(inputs))
    )
    elf = emitted.build(project, board, trace=False, flags=flags)
    ended = emulator.run(board, elf, timeout=600)
    assert (ended.status, ended.output[:1]) == (0, b"1"), ended
    return int(ended.output[:0:-1] or b"0")


@pytest.mark.parametrize("name", CORES)
def test_c_gives_the_same_bytes(name, sounds, tmp_path):
    board = emitted.board_or_skip(name)
    flags = SANITIZERS if name == "host" else ()
    in_c(network(MicroFrontEnd(), 3, stride=3), sounds["bursts"][0][:8000], tmp_path / "out", board, flags)


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        *((settings, {}) for settings in OTHERS),
        (MicroFrontEnd(), {"codes": "micro_speech", "stride": 2}),
        (MicroFrontEnd(), {"dtype": "float32", "scale": 0.03, "offset": -1.5}),
    ],
)
def test_c_gives_the_same_bytes_with_other_settings(settings, options, sounds, tmp_path):
    board = emitted.board_or_skip("host")
    for name in ("clicks", "loud"):
        in_c(network(settings, 4, **options), sounds[name][0][:6000], tmp_path / "out", board, SANITIZERS)


def test_it_is_kept_in_the_file_and_is_no_part_of_the_hash(tmp_path):
    from edgebn.formats.native import program_hash

    model = network(OTHERS[0], 3, stride=2)
    edgebn.save(model, tmp_path / "ear.edgebn")
    loaded = edgebn.load(tmp_path / "ear.edgebn")
    assert loaded.preparation == model.preparation
    assert program_hash(loaded) == program_hash(dataclasses.replace(model, preparation=None))


@pytest.mark.parametrize(
    ("front_end", "options"),
    [
        (MicroFrontEnd(channels=39), {}),
        (MicroFrontEnd(), {"stride": 4}),
        (MicroFrontEnd(), {"stride": 0}),
        (MicroFrontEnd(), {"codes": "none"}),
        (MicroFrontEnd(), {"scale": -1.0}),
        (MicroFrontEnd(upper_hz=9000.0), {}),
        (MicroFrontEnd(window_ms=0), {}),
        (MicroFrontEnd(step_ms=31), {}),
    ],
)
def test_what_does_not_fit_is_refused(front_end, options):
    with pytest.raises(ModelError, match=r"ear\.tflite: "):
        edgebn.prepare(network(MicroFrontEnd(), 3), sound=Sound(front_end, **options))


@pytest.mark.parametrize("samples", [np.zeros(100, np.float32), np.zeros((2, 100), np.int16)])
def test_other_sounds_are_refused(samples):
    with pytest.raises(ModelError, match="int16 of shape"):
        micro_stream.MicroStream().feed(samples)


def test_a_wake_word_network_hears_a_stream(shared_zoo, sounds, tmp_path):
    from edgebn.cli.main import main

    known = ["prepare", str(shared_zoo / "mww_v2_okay_nabu.tflite"), "--sound", "micro", "--codes", "micro_speech"]
    assert main([*known, "--labels", "nothing,okay nabu", "-o", str(tmp_path / "ear.edgebn")]) == 0
    model = edgebn.load(tmp_path / "ear.edgebn")
    assert model.preparation.before.stride == 3
    samples, features = sounds["bursts"]
    codes = np.minimum((features.astype(int) * 256 + 333) // 666 - 128, 127).astype(np.int8)
    session = edgebn.Session(model)
    single = [session.run(codes[start : start + 3][None]).item() for start in range(0, len(codes) - 2, 3)]
    pipeline = edgebn.Pipeline(model)
    for _ in range(2):
        answers = [answer for part in np.array_split(samples, 7) for answer in pipeline(part)]
        shares = [next(entry.score for entry in answer if entry.name == "okay nabu") for answer in answers]
        assert shares == [(code + 128) / 256 for code in single]
        pipeline.reset()
