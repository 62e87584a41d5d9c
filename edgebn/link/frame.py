"""One frame of the serial link: bytes that a person can name, to and from bytes on the line. The format is in edgebn_frame.h."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

VERSION = 1
MAX_PAYLOAD = 256
ANSWER = 0x80  # added to the kind of the request that is answered

_HEADER = struct.Struct("<BBH")
_CRC = struct.Struct("<I")
_SHORTEST = _HEADER.size + _CRC.size


class Kind(IntEnum):
    """What a frame is about."""

    INFO = 0x01
    WRITE = 0x02
    RUN = 0x03
    READ = 0x04
    RESET = 0x05
    STATE_GET = 0x06
    STATE_PUT = 0x07
    STATE_SET = 0x08
    STATE_KEEP = 0x09
    STATE_FREEZE = 0x0A
    LAYER = 0xC0
    DATA = 0xC1
    BOOT = 0xC2
    ERROR = 0xFF


@dataclass(frozen=True)
class Frame:
    """One request, or one answer.

    Attributes
    ----------
    kind : int
        A `Kind`, plus ANSWER where a request is answered.
    sequence : int
        0..65535; an answer has that of its request.
    payload : bytes
        At most MAX_PAYLOAD.
    """

    kind: int
    sequence: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes for the line: COBS between two zero bytes."""
        from cobs import cobs

        body = _HEADER.pack(VERSION, self.kind, self.sequence) + self.payload
        return b"\0" + cobs.encode(body + _CRC.pack(zlib.crc32(body))) + b"\0"


def decode(block: bytes) -> Frame | None:
    """Return the frame that stood between two zero bytes; None where it is damaged, of another version or no frame at all."""
    body = _undamaged(block)
    if body is None or body[0] != VERSION:
        return None
    _, kind, sequence = _HEADER.unpack_from(body)
    return Frame(kind, sequence, body[_HEADER.size :])


def version_of(block: bytes) -> int | None:
    """Return the version of the link that an undamaged frame is of; None where it is none."""
    body = _undamaged(block)
    return None if body is None else body[0]


def _undamaged(block: bytes) -> bytes | None:
    """Return what a frame's checksum is of; None where it is another's."""
    from cobs import cobs

    try:
        body = cobs.decode(block)
    except cobs.DecodeError:
        return None
    if not _SHORTEST <= len(body) <= _SHORTEST + MAX_PAYLOAD:
        return None
    body, crc = body[: -_CRC.size], body[-_CRC.size :]
    return body if zlib.crc32(body) == _CRC.unpack(crc)[0] else None
