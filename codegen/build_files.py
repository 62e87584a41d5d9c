"""The Makefile and the CMakeLists.txt of a project, and what a compiler needs that is given neither. Text only."""

from __future__ import annotations

from collections.abc import Sequence

from boards import Board
from codegen.mains import Main
from codegen.templating import fill

HOST = "host"  # the board of a project that names none
OPTIMIZATION = "-O2"  # the setting of every published figure
EXACT = "-ffp-contract=off"  # float32 of adaptation is the same on every core; GCC does so by itself with -std=c99
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")


def files(name: str, sources: Sequence[str], board: Board, main: Main) -> dict[str, str]:
    """Return them, by name, for the C files of a project (paths in its folder)."""
    link = list(board.link_flags) + (["-Tboard/linker.ld"] if board.linker_script else [])
    prefix = board.compiler.removesuffix("gcc").removesuffix("cc")
    makefile = fill(
        "Makefile.in",
        name=name,
        help=main.makefile_help,
        program=main.name,
        defines="".join(f" {define}" for define in main.defines),
        board=board.name,
        compiler=board.compiler,
        size=f"{prefix}size",
        binary="" if board.kind == HOST else f"\t{prefix}objcopy -O binary $@ build/{main.name}.bin\n",
        optimization=OPTIMIZATION,
        exact=EXACT,
        warnings=" ".join(WARNINGS),
        flags=" ".join(board.flags),
        link_flags=" ".join(link),
        sources=" \\\n  ".join(sources),
    )
    cmake_link = list(board.link_flags) + (["-T${CMAKE_CURRENT_SOURCE_DIR}/board/linker.ld"] if board.linker_script else [])
    cmake = fill(
        "CMakeLists.txt.in",
        name=name,
        program=main.name,
        binary="" if board.kind == HOST else _image(main.name, f"{prefix}objcopy"),
        board=board.name,
        system="" if board.kind == HOST else _cross(board.compiler),
        flags=_list([EXACT, OPTIMIZATION, *WARNINGS, "-ffunction-sections", "-fdata-sections", *main.defines, *board.flags]),
        link_flags=_list([*board.flags, *cmake_link, "-Wl,--gc-sections"]),
        network=_list([source for source in sources if _is_network(source, name)]),
        others=_list([source for source in sources if not _is_network(source, name)]),
    )
    made = {"Makefile": makefile, "CMakeLists.txt": cmake}
    if board.kind == HOST:
        below = [source for source in sources if "/" in source]
        made["folders.c"] = fill("folders.c.in", includes="\n".join(f'#include "{source}"' for source in below))
    return made


def _is_network(source: str, name: str) -> bool:
    return source in (f"{name}.c", f"{name}_params.c") or source.startswith("kernels/")


def _cross(compiler: str) -> str:
    return (
        "  if(NOT CMAKE_TOOLCHAIN_FILE) # the compiler must be known before the project is\n"
        "    set(CMAKE_SYSTEM_NAME Generic)\n"
        "    set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\n"
        "    if(NOT CMAKE_C_COMPILER)\n"
        f"      set(CMAKE_C_COMPILER {compiler})\n"
        "    endif()\n"
        "  endif()\n"
    )


def _image(program: str, objcopy: str) -> str:
    return (
        f"  add_custom_command(TARGET {program} POST_BUILD\n"
        f"    COMMAND {objcopy} -O binary $<TARGET_FILE:{program}> {program}.bin)\n"
    )


def _list(parts: Sequence[str]) -> str:
    return "\n  ".join(parts)
