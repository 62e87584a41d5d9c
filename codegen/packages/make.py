"""A static library by a Makefile, and examples for this computer."""

from __future__ import annotations

from codegen.packages import examples, host_board
from codegen.packages.board_header import below
from codegen.packages.library import Library
from codegen.templating import fill


def files(library: Library) -> dict[str, str]:
    """Return what the layout has besides src/, path to text."""
    name = library.name
    use = f"`make` makes `build/lib{name}.a` (`CC`, `AR` and `CFLAGS` are yours), `make examples` the examples for this computer."
    return {
        "Makefile": fill("packages/Makefile.in", name=name, sources=" \\\n  ".join(library.sources)),
        "README.md": library.readme("a library with a Makefile", use),
        **host_board.files(),
        **below("examples/answer", examples.answer(library)),
        **below("examples/link", examples.link(library)),
    }
