"""Shifts of the world, as code: corruptions of images, and what microphones and rooms do to spectra of speech.

Image shifts take and give uint8 (N, H, W, 3). The adaptation rule was frozen before any of them was tried; the six that it was made
on are files (gaussian noise, defocus, contrast, brightness, fog, pixelate).

Speech shifts work on the keyword network's input, ten MFCCs a frame. An MFCC is the DCT of 40 log-mel magnitudes, so what
multiplies a spectrum adds to the logarithms: a gain adds to c0 alone, a tilt adds a line, a telephone band subtracts at both ends.
Noise adds power: the ten coefficients are turned back into (smooth) log-mel magnitudes, the noise's power is added, and the
difference is turned forward again.
"""

from __future__ import annotations

import io

import numpy as np

FRAME_BANDS, COEFFICIENTS = 40, 10
LOWEST_HZ, HIGHEST_HZ = 20.0, 4000.0
DECIBEL = np.log(10) / 20  # in natural logarithms of magnitudes


def _pixels(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def jpeg(images, quality=7):
    """Blocks and ringing of heavy compression."""
    from PIL import Image

    def one(image):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return np.stack([one(image) for image in images])


def faded_colours(images):
    """A quarter of the saturation, and channels exchanged: the hue turns."""
    wide = images.astype(np.float32)
    grey = (wide @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    return _pixels((grey + 0.25 * (wide - grey))[..., [1, 2, 0]] * np.array([1.1, 0.9, 1.0], np.float32))


def vignette(images):
    """Dark corners."""
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]]
    middle = (np.array(images.shape[1:3]) - 1) / 2
    radius = np.hypot(rows - middle[0], columns - middle[1]) / np.hypot(*(middle + 0.5))
    return _pixels(images * np.clip(1 - 0.75 * radius**1.5, 0, 1)[..., None])


def salt_and_pepper(images, share=0.12):
    """Black and white pixels."""
    random = np.random.default_rng(77).random(images.shape[:3])
    changed = images.copy()
    changed[random < share / 2] = 0
    changed[random > 1 - share / 2] = 255
    return changed


def motion_blur(images, length=9):
    """A horizontal blur."""
    half = length // 2
    padded = np.pad(images.astype(np.float32), ((0, 0), (0, 0), (half, half), (0, 0)), mode="reflect")
    width = images.shape[2]
    return _pixels(sum(padded[:, :, i : i + width] for i in range(length)) / length)


def gamma(images, exponent=2.2):
    """A display's curve applied once too often."""
    return _pixels(255 * (images / 255.0) ** exponent)


def posterize(images):
    """Four levels a channel."""
    return _pixels(np.floor(images / 85.0) * 85 + 20)


UNTUNED_IMAGE_SHIFTS = {
    "jpeg": jpeg,
    "faded colours": faded_colours,
    "vignette": vignette,
    "salt and pepper": salt_and_pepper,
    "motion blur": motion_blur,
    "gamma": gamma,
    "posterize": posterize,
}


def _dct():
    band = np.arange(FRAME_BANDS)
    return np.sqrt(2 / FRAME_BANDS) * np.cos(np.pi / FRAME_BANDS * (band + 0.5) * np.arange(COEFFICIENTS)[:, None])


DCT = _dct()  # (10, 40)
INVERSE = DCT.T / np.array([2.0] + [1.0] * (COEFFICIENTS - 1))  # its pseudo-inverse: row 0 has norm 2, the others 1


def _band_hz():
    def mel(hz):
        return 1127 * np.log1p(hz / 700)

    edges = np.linspace(mel(LOWEST_HZ), mel(HIGHEST_HZ), FRAME_BANDS + 2)[1:-1]
    return 700 * np.expm1(edges / 1127)


def gain(mfcc, decibel=-15.0):
    """The speaker is further away. `mfcc` (N, frames, 10), real values; also below."""
    return mfcc + decibel * DECIBEL * DCT.sum(axis=1)


def tilt(mfcc, decibel=12.0):
    """A microphone that favours low frequencies: from +decibel in the lowest band to -decibel in the highest."""
    return mfcc + DCT @ (np.linspace(decibel, -decibel, FRAME_BANDS) * DECIBEL)


def noise(mfcc, snr_decibel=15.0):
    """White noise, by the clip's mean power in the mel bands."""
    power = np.exp(2 * (mfcc @ INVERSE.T))
    added = power.mean(axis=(1, 2), keepdims=True) * 10 ** (-snr_decibel / 10)
    return mfcc + (0.5 * np.log1p(added / power)) @ DCT.T


def telephone(mfcc, decibel=-30.0):
    """Only 300 to 3400 Hz come through unattenuated."""
    hz = _band_hz()
    return mfcc + DCT @ (np.where((hz < 300) | (hz > 3400), decibel, 0.0) * DECIBEL)


SPEECH_SHIFTS = {"gain": gain, "tilt": tilt, "noise": noise, "telephone": telephone}
