"""What a device sends about the layers of a run, put together from frames that may be lost, doubled or late."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from edgebn.link.frame import Frame, Kind

_LAYER = struct.Struct("<IIIQI")
_PLACE = struct.Struct("<II")


@dataclass(frozen=True)
class Layer:
    """One step of a run.

    Attributes
    ----------
    step : int
        Its number in the program.
    size : int
        Bytes of its output.
    ticks : int
        Of the device's clock.
    data : bytes or None
        The output, where it was asked for.
    """

    step: int
    size: int
    ticks: int
    data: bytes | None = None


@dataclass(frozen=True)
class _Head:
    """What precedes a layer's output."""

    step: int
    size: int
    ticks: int
    crc: int


@dataclass
class GatheredLayers:
    """What has arrived of a run's layers, by their number; it survives repetitions of the run."""

    heads: dict[int, _Head] = field(default_factory=dict)
    data: dict[int, bytearray] = field(default_factory=dict)

    def take(self, frame: Frame) -> None:
        """Keep a LAYER frame, and a DATA frame that goes on where the last one ended."""
        if frame.kind == Kind.LAYER and len(frame.payload) == _LAYER.size:
            layer, *head = _LAYER.unpack(frame.payload)
            self.heads.setdefault(layer, _Head(*head))
        elif frame.kind == Kind.DATA and len(frame.payload) > _PLACE.size:
            layer, offset = _PLACE.unpack_from(frame.payload)
            have = self.data.setdefault(layer, bytearray())
            if offset == len(have):
                have += frame.payload[_PLACE.size :]

    def missing(self, count: int, *, with_data: bool) -> tuple[int, int] | None:
        """Return the first layer of `count`, and the offset in it, that have not arrived; None where everything has."""
        for layer in range(count):
            have = self.data.get(layer, bytearray())
            head = self.heads.get(layer)
            if head is None or (with_data and len(have) < head.size):
                return layer, len(have)
            if with_data and (len(have) > head.size or zlib.crc32(have) != head.crc):
                have.clear()
                return layer, 0
        return None

    def layers(self, count: int, *, with_data: bool) -> tuple[Layer, ...]:
        """Return `count` layers, all of which have arrived."""
        heads = [self.heads[layer] for layer in range(count)]
        return tuple(
            Layer(head.step, head.size, head.ticks, bytes(self.data.get(layer, b"")) if with_data else None)
            for layer, head in enumerate(heads)
        )
