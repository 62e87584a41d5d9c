"""Where pictures and sounds come from: films, cameras, sound files and microphones, one item after the other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgebn.errors import ModelError
from edgebn.live.extras import needed
from edgebn.live.recordings import read_sound

FILMS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
PIECE_MS = 40  # of sound at a time
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0  # seconds between attempts to open a camera that has gone


class Source(Protocol):
    """Something that gives pictures, uint8 (height, width, 3) RGB, or pieces of sound, int16 (n,).

    Attributes
    ----------
    is_live : bool
        Whether what is not taken at once is old: the latest picture wins then.
    losses : int
        How often it went away and came back.
    """

    is_live: bool
    losses: int

    def items(self, stop: threading.Event) -> Iterator[np.ndarray]:
        """Yield one after the other until it ends or `stop` is set, and close what was opened."""


class Film:
    """The frames of a film, every one."""

    is_live = False
    losses = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opencv = needed("cv2", f"{path}: reading films")
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file")
        film = self._opencv.VideoCapture(str(path))
        try:
            if not film.isOpened():
                raise ModelError(f"{path} is damaged or no film that OpenCV can read")
            self.frames = max(0, int(film.get(self._opencv.CAP_PROP_FRAME_COUNT)))
            self.rate = float(film.get(self._opencv.CAP_PROP_FPS)) or 25.0
        finally:
            film.release()

    def items(self, stop: threading.Event) -> Iterator[np.ndarray]:
        """See `Source`."""
        film = self._opencv.VideoCapture(str(self.path))
        try:
            while not stop.is_set():
                is_there, frame = film.read()
                if not is_there:
                    return
                yield _rgb(frame)
        finally:
            film.release()


class Camera:
    """A camera that OpenCV opens by number or address; one that goes away is opened again until it is back.

    Parameters
    ----------
    which : int or str
    opencv : module, optional
        Stands in for OpenCV in tests.
    """

    is_live = True

    def __init__(self, which: int | str, opencv: Any = None) -> None:
        self._which = which
        self._opencv = opencv or needed("cv2", "--camera")
        self.losses = 0
        camera = self._opencv.VideoCapture(which)
        is_open = camera.isOpened()
        camera.release()
        if not is_open:
            raise ModelError(f"camera {which} cannot be opened; is it connected, and may this user read /dev/video*?")

    def items(self, stop: threading.Event) -> Iterator[np.ndarray]:
        """See `Source`."""
        pause = FIRST_PAUSE
        while not stop.is_set():
            camera = self._opencv.VideoCapture(self._which)
            try:
                while camera.isOpened() and not stop.is_set():
                    is_there, frame = camera.read()
                    if not is_there:
                        break
                    pause = FIRST_PAUSE
                    yield _rgb(frame)
            finally:
                camera.release()
            if stop.wait(pause):
                return
            self.losses += 1
            pause = min(2 * pause, LONGEST_PAUSE)


class PiCamera:
    """A Raspberry Pi's camera through picamera2, which comes with the system, not from PyPI."""

    is_live = True

    def __init__(self) -> None:
        self.losses = 0
        try:
            from picamera2 import Picamera2
        except ModuleNotFoundError:
            raise ModelError(
                "--camera picamera2 needs picamera2; install it with: sudo apt install python3-picamera2, and make the virtual "
                "environment with --system-site-packages"
            ) from None
        self._make = Picamera2
        try:
            self._make().close()
        except (IndexError, RuntimeError) as error:  # as it says that there is none, and that another program has it
            raise ModelError(
                f"the camera cannot be opened by picamera2: {error}; is its cable in, does another program use it, and does "
                "rpicam-hello show its picture?"
            ) from None

    def items(self, stop: threading.Event) -> Iterator[np.ndarray]:
        """See `Source`."""
        pause = FIRST_PAUSE
        while not stop.is_set():
            gone = contextlib.suppress(IndexError, RuntimeError)  # or not back yet
            with gone, contextlib.closing(self._make()) as camera:
                # Its name for bytes in the order R G B.
                camera.configure(camera.create_video_configuration(main={"format": "BGR888"}))
                camera.start()
                try:
                    while not stop.is_set():
                        frame = np.ascontiguousarray(camera.capture_array())
                        pause = FIRST_PAUSE
                        yield frame
                finally:
                    with contextlib.suppress(RuntimeError):
                        camera.stop()
            if stop.wait(pause):
                return
            self.losses += 1
            pause = min(2 * pause, LONGEST_PAUSE)


class SoundFile:
    """A recording in pieces."""

    is_live = False
    losses = 0

    def __init__(self, path: Path, sample_rate: int) -> None:
        self._samples, self._rate = read_sound(path, sample_rate), sample_rate

    def items(self, stop: threading.Event) -> Iterator[np.ndarray]:
        """See `Source`."""
        size = self._rate * PIECE_MS // 1000
        for start in range(0, len(self._samples), size):
            if stop.is_set():
                return
            yield self._samples[start : start + size]


class Microphone:
    """The system's microphone through sounddevice."""

    is_live = False  # what was said is never dropped
    losses = 0

    def __init__(self, sample_rate: int) -> None:
        self._device, self._rate = needed("sounddevice", "--microphone"), sample_rate

    def items(self, stop: threading.Event) -> Iterator[np.ndarray]:
        """See `Source`."""
        size = self._rate * PIECE_MS // 1000
        try:
            with self._device.InputStream(samplerate=self._rate, channels=1, dtype="int16", blocksize=size) as stream:
                while not stop.is_set():
                    samples, overflowed = stream.read(size)
                    self.losses += bool(overflowed)
                    yield np.ascontiguousarray(samples[:, 0])
        except self._device.PortAudioError as error:
            raise ModelError(f"the microphone cannot be read: {error}") from None


def _rgb(frame: np.ndarray) -> np.ndarray:
    """Return OpenCV's blue, green, red, or grey, as contiguous RGB."""
    return np.ascontiguousarray(frame[..., ::-1] if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2))
