"""What every layout is made from: a network, the C files of its tree, and how they are listed. Plain data and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.constants import comment
from codegen.describe import shape_text
from codegen.listing import parameters
from codegen.places import buffer_of, input_names
from codegen.project import Listing
from codegen.self_test import Vectors
from codegen.templating import fill
from codegen.values import size_of
from edgebn.program import has_floats, holds_codes

SOURCE = "src"  # the folder of the tree
VERSION = "1.0.0"  # of the library, as manifests want one; people count it up
BAUD = 115200
KEYWORDS = "neural network, int8, TinyML"


@dataclass(frozen=True)
class Library:
    """A network on its way into a layout.

    Attributes
    ----------
    listing : Listing
    sources : tuple of str
        C files of the library, in the project: src/...
    vectors : Vectors
        Of which the first is the examples' recorded input.
    baud : int
    settings : tuple of str
        Lines of the system's configuration, where a board of its own was named.
    """

    listing: Listing
    sources: tuple[str, ...]
    vectors: Vectors
    baud: int
    settings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the network in C."""
        return self.listing.name

    @property
    def summary(self) -> str:
        """One line about it, of letters that every manifest takes."""
        return f"{comment(self.listing.title)} ({self.listing.program.dtype}) in C99".replace('"', "'").replace("\\", "/")

    @property
    def floats(self) -> bool:
        """Whether it computes in float32, if only where it learns."""
        return has_floats(self.listing.program) or self.listing.adaptation is not None

    @property
    def input_bytes(self) -> int:
        """Bytes of all inputs."""
        buffers = self.listing.program.buffers
        return sum(size_of(buffers[buffer_of(self.listing, name)]) for name in input_names(self.listing))

    def readme(self, system: str, use: str, traced: str = "") -> str:
        """Return the text of README.md: how it is used there, and how EDGEBN_TRACE is defined, where the example cannot."""
        listing = self.listing
        rows = []
        for buffer, parameter in (*listing.values.inputs, *listing.values.outputs):
            value = listing.program.buffers[buffer]
            codes = f"scale {value.scale:.9g}, zero point {value.zero_point}" if holds_codes(value) else ""
            rows.append(f"| `{parameter}` | {shape_text(value.shape)} | {value.dtype} | {codes} |")
        return fill(
            "packages/README.md.in",
            name=self.name,
            title=comment(listing.title),
            dtype=listing.program.dtype,
            system=system,
            hash=listing.model_hash,
            values="\n".join(rows),
            flash=f"{listing.flash_bytes:,}",
            ram=f"{listing.arena.size:,}",
            use=use,
            traced=traced,
            signature=f"{self.name}_run({parameters(listing)})",
            input_bytes=f"{self.input_bytes:,}",
        )


def lines(parts: Sequence[str], indent: int) -> str:
    """Return one part a line."""
    return f"\n{' ' * indent}".join(parts)
