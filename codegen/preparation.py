"""What a project has beside the network: files that turn sounds or pictures into its input, where the program says how."""

from __future__ import annotations

from codegen import picture, sound
from codegen.project import Listing
from edgebn.preparation.data import MfccFrontEnd, Picture, Sound


def files(listing: Listing) -> dict[str, str]:
    """Return their texts by name."""
    before = listing.program.preparation.before if listing.program.preparation else None
    if isinstance(before, Sound):
        return sound.files(listing, before)
    if isinstance(before, Picture) and before.frame is not None:
        return picture.files(listing, before, before.frame)
    return {}


def headers(listing: Listing) -> list[str]:
    """Return what they include of the kernel library."""
    before = listing.program.preparation.before if listing.program.preparation else None
    if isinstance(before, Sound):
        return [sound.HEADER, sound.MFCC_HEADER] if isinstance(before.front_end, MfccFrontEnd) else [sound.HEADER]
    return [picture.HEADER] if isinstance(before, Picture) and before.frame is not None else []
