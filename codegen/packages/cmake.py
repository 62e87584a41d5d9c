"""A library for add_subdirectory of CMake; built by itself, its examples for this computer."""

from __future__ import annotations

from codegen.packages import examples, host_board
from codegen.packages.board_header import below
from codegen.packages.library import Library, lines
from codegen.templating import fill


def files(library: Library) -> dict[str, str]:
    """Return what the layout has besides src/, path to text."""
    name = library.name
    use = (
        f"`add_subdirectory` of this folder, and `target_link_libraries(yours PRIVATE {name})`: it takes your compiler and your "
        "flags. By itself, `cmake -B build && cmake --build build` makes the examples for this computer."
    )
    return {
        "CMakeLists.txt": fill("packages/CMakeLists.txt.in", name=name, sources=lines(library.sources, 2)),
        "README.md": library.readme("a CMake library", use),
        **host_board.files(),
        **below("examples/answer", examples.answer(library)),
        **below("examples/link", examples.link(library)),
    }
