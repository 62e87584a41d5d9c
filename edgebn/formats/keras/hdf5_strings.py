"""Reads an attribute's variable-length strings from the file's own bytes, without the HDF5 library.

The library allocates what a damaged descriptor claims (up to 4 GB) and walks a damaged heap for ever; this does neither.
Layout: HDF5 File Format Specification 3.0, III.E (global heap), IV.A (object headers), IV.A.2.m (attribute message).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

ReadBytes = Callable[[int, int], bytes]
"""(position, count) -> the bytes there, fewer at the end of the file."""

_ATTRIBUTE, _CONTINUATION = 0x000C, 0x0010
_DESCRIPTOR = struct.Struct("<IQI")  # length, heap address, index in the heap
_HEAP_OBJECT = struct.Struct("<HHIQ")  # index, references, nothing, size
_HEAP_HEADER_BYTES = 16
_MAX_BLOCKS = 256
_MAX_BLOCK_BYTES = 4 << 20
_MAX_HEAP_BYTES = 16 << 20


def stored_strings(read: ReadBytes, header: int, attribute: str, elements: int) -> list[bytes] | None:
    """Return an attribute's variable-length strings, None where they are not to be found.

    Parameters
    ----------
    read : callable
    header : int
        Where the object header of the group begins.
    attribute : str
    elements : int
        How many strings the attribute holds.
    """
    for body in _attribute_messages(read, header):
        data = _data_of(body, attribute.encode())
        if data is not None and len(data) >= elements * _DESCRIPTOR.size:
            heaps: dict[int, dict[int, bytes]] = {}
            found = [_from_heap(read, heaps, *_DESCRIPTOR.unpack_from(data, index * _DESCRIPTOR.size)) for index in range(elements)]
            strings = [text for text in found if text is not None]
            return strings if len(strings) == elements else None
    return None


def _from_heap(read: ReadBytes, heaps: dict[int, dict[int, bytes]], length: int, heap: int, index: int) -> bytes | None:
    """Return one string, None where the heap does not hold it whole."""
    if length == 0:
        return b""
    if heap not in heaps:
        if len(heaps) >= _MAX_BLOCKS:
            return None
        heaps[heap] = _heap_objects(read, heap)
    stored = heaps[heap].get(index, b"")
    return stored[:length].split(b"\0", 1)[0] if length <= len(stored) else None


def _heap_objects(read: ReadBytes, heap: int) -> dict[int, bytes]:
    """Return the objects of one global heap collection by their index."""
    prefix = read(heap, _HEAP_HEADER_BYTES)
    if prefix[:5] != b"GCOL\x01" or len(prefix) < _HEAP_HEADER_BYTES:
        return {}
    size = int.from_bytes(prefix[8:], "little")
    block = read(heap, min(size, _MAX_HEAP_BYTES))
    objects, place = {}, _HEAP_HEADER_BYTES
    while place + _HEAP_OBJECT.size <= len(block):
        index, _, _, length = _HEAP_OBJECT.unpack_from(block, place)
        if index == 0:  # the free space at the end
            break
        start = place + _HEAP_OBJECT.size
        objects[index] = block[start : start + length]
        place = start + -(-length // 8) * 8
    return objects


def _attribute_messages(read: ReadBytes, header: int) -> Iterator[bytes]:
    """Yield the bodies of all attribute messages, those in continuation blocks included."""
    prefix = read(header, 16)
    if len(prefix) < 16:
        return
    tracked = 0
    if prefix[:4] == b"OHDR":  # version 2
        flags = prefix[5]
        start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(read(header + start, width), "little")
        blocks, version, tracked = [(header + start + width, size)], 2, 2 if flags & 4 else 0
    else:
        blocks, version = [(header + 16, int.from_bytes(prefix[8:12], "little"))], 1
    for _ in range(_MAX_BLOCKS):
        if not blocks:
            return
        position, size = blocks.pop(0)
        for kind, body in _messages(read(position, min(size, _MAX_BLOCK_BYTES)), version, tracked):
            if kind == _ATTRIBUTE:
                yield body
            elif kind == _CONTINUATION and len(body) >= 16:
                address, length = struct.unpack_from("<QQ", body)
                # A continuation of version 2 is framed by a signature and a checksum.
                blocks.append((address, length) if version == 1 else (address + 4, max(length - 8, 0)))


def _messages(block: bytes, version: int, tracked: int) -> Iterator[tuple[int, bytes]]:
    place = 0
    prefix = 8 if version == 1 else 4 + tracked
    while place + prefix <= len(block):
        if version == 1:
            kind, size = struct.unpack_from("<HH", block, place)
        else:
            kind, size = struct.unpack_from("<BH", block, place)
        yield kind, block[place + prefix : place + prefix + size]
        place += prefix + size


def _data_of(body: bytes, attribute: bytes) -> bytes | None:
    """Return the data of an attribute message if it is the one of that name."""
    if len(body) < 9:
        return None
    version = body[0]
    name, datatype, dataspace = struct.unpack_from("<HHH", body, 2)
    start = 9 if version == 3 else 8
    if body[start : start + name].rstrip(b"\0") != attribute:
        return None
    if version == 1:  # each part is padded to eight bytes
        name, datatype, dataspace = (-(-size // 8) * 8 for size in (name, datatype, dataspace))
    return body[start + name + datatype + dataspace :]
