"""Records MFCCs of a few sounds: as Keras' STFT and mel matrix (those of tf.signal) make them, and as librosa does.

    KERAS_BACKEND=torch python tests/recorders/record_mfcc.py

The settings are those of MLPerf Tiny's keyword network.
"""

import sys
from pathlib import Path

import keras
import librosa
import numpy as np
import scipy.fft

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.preparation.sound_samples import mfcc_sounds

OUT = Path(__file__).resolve().parents[1] / "recorded" / "sound" / "mfcc.npz"
RATE, WINDOW, STEP, FFT, FILTERS, COEFFICIENTS, LOW, HIGH = 16000, 480, 320, 512, 40, 10, 20.0, 4000.0


def cepstrum(mel):
    """Return the coefficients of mel magnitudes (windows, filters): the DCT-II as tf.signal scales it."""
    return scipy.fft.dct(np.log(mel + 1e-6), type=2, axis=-1)[:, :COEFFICIENTS] / np.sqrt(2 * FILTERS)


def by_keras(samples):
    """Return coefficients (windows, 10)."""
    frames = np.stack([samples[i : i + WINDOW] for i in range(0, len(samples) - WINDOW + 1, STEP)])
    layer = keras.layers.MelSpectrogram(
        fft_length=FFT,
        sequence_stride=STEP,
        sequence_length=WINDOW,
        sampling_rate=RATE,
        num_mel_bins=FILTERS,
        min_freq=LOW,
        max_freq=HIGH,
    )
    matrix = keras.ops.convert_to_numpy(
        layer.linear_to_mel_weight_matrix(
            num_mel_bins=FILTERS, num_spectrogram_bins=FFT // 2 + 1, sampling_rate=RATE, lower_edge_hertz=LOW, upper_edge_hertz=HIGH
        )
    )
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    # Keras centres a short window in the FFT; zeros behind it give the same magnitudes.
    padded = np.pad(frames * hann, ((0, 0), (0, FFT - WINDOW))).astype(np.float32)
    real, imaginary = (keras.ops.convert_to_numpy(part) for part in keras.ops.rfft(padded))
    return cepstrum(np.hypot(real, imaginary).astype(np.float64) @ matrix)


def by_librosa(samples):
    """Return coefficients (windows, 10)."""
    around = np.pad(samples, ((FFT - WINDOW) // 2, (FFT - WINDOW) // 2))  # librosa's window stands in the middle of the FFT
    mel = librosa.feature.melspectrogram(
        y=around, sr=RATE, n_fft=FFT, win_length=WINDOW, hop_length=STEP, center=False, power=1.0, n_mels=FILTERS, fmin=LOW,
        fmax=HIGH, htk=True, norm=None,
    )  # fmt: skip
    return cepstrum(mel.T.astype(np.float64))


def main():
    """Write the archive."""
    arrays = {"versions": np.array(f"keras {keras.__version__}, librosa {librosa.__version__}, numpy {np.__version__}")}
    for name, samples in mfcc_sounds().items():
        loudest = samples.astype(np.float64) / max(int(samples.max()), 1)
        arrays[f"{name}_keras"] = by_keras(loudest).astype(np.float32)
        arrays[f"{name}_librosa"] = by_librosa(loudest).astype(np.float32)
    np.savez_compressed(OUT, **arrays)
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
