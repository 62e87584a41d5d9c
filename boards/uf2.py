"""UF2 images for parts whose boot ROM shows itself as a USB drive."""

from __future__ import annotations

import struct

PAYLOAD = 256  # bytes of the image in a block: a page of the flash, all that these boot ROMs take
_BLOCK = struct.Struct("<8I476sI")
_FIRST, _SECOND, _LAST = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_HAS_FAMILY = 0x2000


def blocks(image: bytes, address: int, family: int) -> bytes:
    """Return `image`, which goes to `address`, as a UF2 file for the parts of `family`.

    The last page is filled up with zeros: boot ROMs of this kind refuse blocks that are no whole page.
    """
    count = -(-len(image) // PAYLOAD)
    return b"".join(
        _BLOCK.pack(
            _FIRST,
            _SECOND,
            _HAS_FAMILY,
            address + i * PAYLOAD,
            PAYLOAD,
            i,
            count,
            family,
            image[i * PAYLOAD : (i + 1) * PAYLOAD].ljust(PAYLOAD, b"\0"),
            _LAST,
        )
        for i in range(count)
    )
