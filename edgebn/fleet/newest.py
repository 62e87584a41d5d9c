"""What a merger remembers of each device: the newest count, and the newest message while there is room. Bounded."""

from __future__ import annotations

from collections import OrderedDict

from edgebn.fleet.topics import Address

MAX_COUNTS = 1 << 17  # devices whose newest count is remembered
MAX_BYTES = 16 << 20  # of newest messages, to put back where an old one was sent again


class Newest:
    """Counts and messages by address; what was put longest ago makes place. For the connection's thread alone."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Address, int] = OrderedDict()
        self._payloads: OrderedDict[Address, bytes] = OrderedDict()
        self._bytes = 0

    def count(self, address: Address) -> int:
        """Return the newest count of a device, -1 where none is known."""
        return self._counts.get(address, -1)

    def payload(self, address: Address) -> bytes | None:
        """Return the newest message of a device, where it is still there."""
        return self._payloads.get(address)

    def put(self, address: Address, count: int, payload: bytes) -> None:
        """Remember a device's newest message."""
        self._counts[address] = count
        self._counts.move_to_end(address)
        while len(self._counts) > MAX_COUNTS:
            self._counts.popitem(last=False)
        self._bytes += len(payload) - len(self._payloads.pop(address, b""))
        self._payloads[address] = payload
        while self._bytes > MAX_BYTES:
            self._bytes -= len(self._payloads.popitem(last=False)[1])

    def forget(self, address: Address) -> None:
        """Remember nothing of a device."""
        self._counts.pop(address, None)
        self._bytes -= len(self._payloads.pop(address, b""))
