"""What a state travels in: version, count, time, drift numbers, the `.bnstate` bytes, CRC-32, signature (docs/fleet.md).

The topic is part of what the checksum and the signature cover: a message that is brought to another topic is damaged there.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from edgebn.errors import FleetError

MAGIC = b"EBNF"
VERSION = 1
SIGNED = 1  # the only flag
HEADER = struct.Struct("<4sHHQQIIHHI")  # magic, version, flags, count, time, seen, accepted, trips, layers, bytes of state
CHECKSUM = struct.Struct("<I")
SIGNATURE_BYTES = 32
NUMBERS = 5  # of each layer: energy, gate, drift, largest drift, spread
MAX_COUNT = (1 << 63) - 1


class EnvelopeError(FleetError):
    """Bytes that are no envelope, or not one for this topic.

    Attributes
    ----------
    why : str
        A word for counting.
    """

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True)
class Envelope:
    """A state and what is known of it.

    Attributes
    ----------
    count : int
        Of a device's states, the one with the larger count is the newer.
    time : int
        When it was made, in milliseconds since 1970, by the device's clock.
    seen, accepted, trips : int
        Inferences run, learned from, and returns of the watchdog to the factory state.
    drift : ndarray of float32, shape (layers, 5)
        Energy, gate, drift, largest drift and spread, as in `edgebn.adapt.report.LayerReport`.
    state : bytes
        As `Adapter.to_bytes` returns it.
    """

    count: int
    time: int
    seen: int
    accepted: int
    trips: int
    drift: np.ndarray
    state: bytes


def size_of(layers: int, state_bytes: int, *, signed: bool) -> int:
    """Return how long an envelope is."""
    return HEADER.size + 4 * NUMBERS * layers + state_bytes + CHECKSUM.size + (SIGNATURE_BYTES if signed else 0)


def key_of(master: bytes, device: str) -> bytes:
    """Return the key that a device signs with: made from the fleet's, so that a device cannot sign for another."""
    return hmac.digest(master, b"edgebn device key\0" + device.encode(), hashlib.sha256)


def to_bytes(envelope: Envelope, topic: str, key: bytes | None = None) -> bytes:
    """Return the bytes for a topic, signed where there is a key."""
    numbers = np.ascontiguousarray(envelope.drift, "<f4")
    header = HEADER.pack(
        MAGIC,
        VERSION,
        SIGNED if key is not None else 0,
        envelope.count,
        envelope.time,
        min(envelope.seen, 0xFFFFFFFF),
        min(envelope.accepted, 0xFFFFFFFF),
        min(envelope.trips, 0xFFFF),
        len(numbers),
        len(envelope.state),
    )
    body = header + numbers.tobytes() + envelope.state
    body += CHECKSUM.pack(zlib.crc32(body, zlib.crc32(topic.encode())))
    return body if key is None else body + _signature(key, topic, body)


def from_bytes(data: bytes, topic: str, key: bytes | None = None, *, most: int = 1 << 22) -> Envelope:
    """Return the envelope in a message.

    Parameters
    ----------
    data : bytes
    topic : str
        The one that the message came under.
    key : bytes or None
        Of the device; None where signatures are not asked for.
    most : int
        Bytes that a message may have.

    Raises
    ------
    EnvelopeError
        It is too long, cut, damaged, of another version or topic, not signed or not by this device.
    """
    if len(data) > most:
        raise EnvelopeError("oversized", f"{topic}: {len(data)} bytes, where at most {most} are expected")
    if len(data) < HEADER.size + CHECKSUM.size or data[:4] != MAGIC:
        raise EnvelopeError("malformed", f"{topic}: this is no envelope of an adaptation state")
    _, version, flags, count, time, seen, accepted, trips, layers, length = HEADER.unpack_from(data)
    if version != VERSION or flags & ~SIGNED:
        raise EnvelopeError("version", f"{topic}: an envelope of version {version}, and this edgebn reads {VERSION}")
    if len(data) != size_of(layers, length, signed=bool(flags)):
        raise EnvelopeError("malformed", f"{topic}: the envelope is cut off, or goes on behind its end")
    end = size_of(layers, length, signed=False)
    if CHECKSUM.unpack_from(data, end - CHECKSUM.size)[0] != zlib.crc32(data[: end - CHECKSUM.size], zlib.crc32(topic.encode())):
        raise EnvelopeError("malformed", f"{topic}: the checksum does not match: damaged, or written for another topic")
    if key is not None and not (flags and hmac.compare_digest(data[end:], _signature(key, topic, data[:end]))):
        raise EnvelopeError("unsigned", f"{topic}: the message is not signed with this device's key")
    if count > MAX_COUNT:
        raise EnvelopeError("malformed", f"{topic}: the count {count} leaves no larger one for what follows")
    behind = HEADER.size + 4 * NUMBERS * layers
    numbers = np.frombuffer(data[HEADER.size : behind], "<f4").astype(np.float32).reshape(layers, NUMBERS)
    if not np.isfinite(numbers).all():
        raise EnvelopeError("malformed", f"{topic}: drift numbers that are not finite")
    return Envelope(count, time, seen, accepted, trips, numbers, data[behind : behind + length])


def _signature(key: bytes, topic: str, body: bytes) -> bytes:
    return hmac.digest(key, topic.encode() + b"\0" + body, hashlib.sha256)
