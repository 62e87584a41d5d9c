"""What a project has beside the network: files that turn sounds into its input, where the program says how."""

from __future__ import annotations

from codegen import sound
from codegen.project import Listing
from edgebn.preparation.data import Sound


def files(listing: Listing) -> dict[str, str]:
    """Return their texts by name."""
    before = listing.program.preparation.before if listing.program.preparation else None
    return sound.files(listing, before) if isinstance(before, Sound) else {}


def headers(listing: Listing) -> list[str]:
    """Return what they include of the kernel library."""
    before = listing.program.preparation.before if listing.program.preparation else None
    return [sound.HEADER] if isinstance(before, Sound) else []
