"""The line itself: a pyserial port that gives and takes frames, and how one is opened. Knows no requests."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from edgebn.errors import LinkError
from edgebn.link.device import Device
from edgebn.link.exchange import Patience, SilentError
from edgebn.link.frame import ANSWER, MAX_PAYLOAD, VERSION, Frame, decode, version_of

LONGEST_BLOCK = MAX_PAYLOAD + 16  # a frame in COBS; more without a zero byte is noise
POLL_SECONDS = 0.05  # how long one read of the port waits
_ADDRESSED = ("socket", "rfc2217")  # kinds of ports that are named by an address in the network
_SHOWN = 24  # bytes of what another program says
WRITE_SECONDS = 10.0  # until a port that takes no bytes has failed


class Port(Protocol):
    """What is used of a pyserial port. `read` returns fewer bytes than asked for when its timeout passes."""

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""

    def read(self, size: int = 1, /) -> bytes:
        """Read up to `size` bytes."""

    def write(self, data: bytes, /) -> int | None:
        """Send all of `data`."""


class Line:
    """Frames over a port.

    Parameters
    ----------
    port : Port
        Its reads wait a short while at most.
    clock : callable, optional
        Seconds that pass; `time.monotonic`.
    """

    def __init__(self, port: Port, clock: Callable[[], float] = time.monotonic) -> None:
        self.port = port
        self.clock = clock
        self._block = bytearray()
        self._frames: deque[Frame] = deque()
        self._heard = 0
        self._first = b""
        self._version: int | None = None  # of frames that are not ours
        self._is_echo = False

    def explain(self) -> str:
        """Return what came instead of an answer, and what to do about it."""
        if self._version is not None:
            return (
                f"it speaks version {self._version} of the link, and this edgebn version {VERSION}: write its firmware again with "
                "`edgebn generate --main link`, and flash it"
            )
        if self._is_echo:
            return "what is sent comes back as it is: the line is a loop or has an echo, and no device is at its end"
        if self._heard:
            return (
                f"{self._heard} bytes came that are no frame of this link (they begin with {self._first!r}): another program is "
                "on the device, or the speed is another (--baud)"
            )
        return (
            "nothing came at all: is it switched on, is this its port, and is firmware on it that `edgebn generate --main link` "
            "wrote?"
        )

    def send(self, frame: Frame) -> None:
        """Send one frame.

        Raises
        ------
        LinkError
            The port fails.
        """
        try:
            self.port.write(frame.encode())
        except OSError as error:  # pyserial's errors are OSErrors
            raise LinkError(f"the serial line has failed: {error}") from error

    def receive(self, deadline: float) -> Frame | None:
        """Return the next undamaged frame; None where there is none before `deadline` (of `clock`).

        Raises
        ------
        LinkError
            The port fails.
        """
        while not self._frames:
            if self.clock() >= deadline:
                return None
            try:
                self._take(self.port.read(max(1, self.port.in_waiting)))
            except OSError as error:
                raise LinkError(f"the serial line has failed: {error}") from error
        return self._frames.popleft()

    def _take(self, data: bytes) -> None:
        self._heard += len(data)
        self._first += data[: _SHOWN - len(self._first)]
        first, *others = data.split(b"\0")
        self._block += first
        for block in others:
            found = bytes(self._block) if len(self._block) <= LONGEST_BLOCK else b""
            frame = decode(found)
            if frame is not None:
                self._frames.append(frame)
                self._is_echo |= frame.kind < ANSWER
            elif found:
                self._version = self._version or version_of(found)
            self._block[:] = block
        if len(self._block) > 2 * LONGEST_BLOCK:
            del self._block[: -LONGEST_BLOCK - 1]  # noise without end takes no memory


class SocketPort:
    """A pyserial port over a socket, with reads that take all there is: pyserial's own cannot tell how much that would be.

    Parameters
    ----------
    port : serial.urlhandler.protocol_socket.Serial
        Its `timeout` is how long a read waits for the first byte.
    """

    in_waiting = 4096  # most that is read at once

    def __init__(self, port: Any) -> None:
        self._port = port
        self._timeout = port.timeout

    def read(self, size: int = 1, /) -> bytes:
        """Wait for the first byte, then take what has come with it."""
        first: bytes = self._port.read(1)
        if not first:
            return first
        self._port.timeout = 0
        try:
            rest: bytes = self._port.read(size - 1)
        finally:
            self._port.timeout = self._timeout
        return first + rest

    def write(self, data: bytes, /) -> int | None:
        """Send all of `data`."""
        written: int = self._port.write(data)
        return written


@contextmanager
def connect(url: str, *, baud: int = 115200, patience: Patience | None = None, booting: bool = False) -> Iterator[Device]:
    """Open a serial line and meet the device at its end.

    Parameters
    ----------
    url : str
        Anything that pyserial opens: /dev/ttyACM0, COM3, socket://host:port, rfc2217://host:port, loop://.
    baud : int
        Where the line has a speed.
    patience : Patience, optional
        How long to wait, how often to repeat.
    booting : bool
        Whether the device starts now, as in an emulator: nothing is said to it before it has said that it is up.

    Raises
    ------
    LinkError
        The line cannot be opened, or no device that speaks this link's version answers.
    """
    port = open_port(url, baud=baud, timeout=POLL_SECONDS)
    try:
        line = Line(SocketPort(port) if _is_socket(url) else port)
        device = Device(line, patience or Patience())
        try:
            device.meet(booting=booting)
        except SilentError as error:
            raise LinkError(f"{url}: {error}; {line.explain()}") from error
        yield device
    finally:
        # pyserial leaves a socket open whose other end has closed first.
        socket = getattr(port, "_socket", None)
        port.close()
        if socket is not None:
            socket.close()


def open_port(url: str, *, baud: int, timeout: float) -> Any:
    """Open what `connect` names as a pyserial port, with nothing lost that a device says at once.

    Raises
    ------
    LinkError
        It cannot be opened, or pyserial is not installed.
    """
    try:
        import serial
    except ImportError as error:
        raise LinkError("the serial link needs pyserial and cobs: pip install edgebn[link]") from error
    _check_address(url)
    try:
        alone = {} if "://" in url else {"exclusive": True}  # two programs on one line would take each other's answers
        port = serial.serial_for_url(url, baudrate=baud, timeout=timeout, write_timeout=WRITE_SECONDS, do_not_open=True, **alone)
        if _is_socket(url):  # pyserial throws away what came while it was connecting: an emulated device's first words
            port.reset_input_buffer = lambda: None
        port.open()
    except (OSError, ValueError) as error:
        raise LinkError(f"{url} cannot be opened: {_reason(error)}") from error
    return port


def _check_address(url: str) -> None:
    """Refuse an address in the network that is none: pyserial would stumble over it.

    Raises
    ------
    LinkError
        It is none.
    """
    if not url:
        raise LinkError("the port has no name; give one, for example /dev/ttyACM0 or socket://HOST:PORT")
    scheme = url.partition(":")[0].lower()
    if scheme not in _ADDRESSED:
        return
    try:
        parts = urlsplit(url)
        complete = parts.scheme == scheme and bool(parts.hostname and parts.port and url.lower().startswith(f"{scheme}://"))
    except ValueError:  # a port that is no number, or too large
        complete = False
    if not complete:
        raise LinkError(f"{url} is no address of a device; give {scheme}://HOST:PORT, with a PORT from 1 to 65535")


def _reason(error: Exception) -> str:
    """Return what the system says, without pyserial's wrapping."""
    if "exclusively lock" in str(error):
        return "another program has it open"
    numbers = re.findall(r"\[Errno (\d+)\]", str(error))
    return os.strerror(int(numbers[-1])).lower() if numbers else str(error)


def _is_socket(url: str) -> bool:
    return url.lower().startswith("socket:")
