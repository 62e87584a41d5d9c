"""Compile and link C for a board, and measure what came out. Runs compilers; knows nothing of models."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from boards import tools
from boards.board import Board
from edgebn.errors import BoardError

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
SECTIONS = ("-ffunction-sections", "-fdata-sections")
PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi and libnewlib-arm-none-eabi",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf and picolibc-riscv64-unknown-elf",
    "cc": "gcc",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
}


@dataclass(frozen=True)
class Size:
    """What a linked program takes.

    Attributes
    ----------
    flash : int
        Bytes of code, constants and the image of initialised data.
    ram : int
        Bytes of data, zeroed data (the arena among it), what is in other memories, and the stack that is kept free.
    """

    flash: int
    ram: int


def has_compiler(board: Board) -> bool:
    """Whether the board's compiler is installed."""
    return shutil.which(board.compiler) is not None


def missing(program: str) -> BoardError:
    """Return the error for a tool that is not installed, with the Debian packages that have it."""
    if program.startswith("xtensa-esp"):
        return BoardError(f"{program} is not installed; ESP-IDF's installer brings it")
    return BoardError(f"{program} is not installed; on Debian or Ubuntu it is in {PACKAGES.get(program, program)}")


def write_project(board: Board, folder: Path) -> list[Path]:
    """Write the board's files into `folder` and return its C sources."""
    folder.mkdir(parents=True, exist_ok=True)
    files = board.project_files()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files if name.endswith(".c")]


def build(
    board: Board,
    sources: Iterable[Path],
    folder: Path,
    *,
    include: Iterable[Path] = (),
    flags: Iterable[str] = (),
    optimization: str = "-O2",
    program: str = "firmware.elf",
) -> Path:
    """Compile `sources` with the board's own files, warnings being errors, and link them.

    Parameters
    ----------
    board : Board
    sources : paths
        C files; the board's start-up code and drivers are added.
    folder : Path
        Made if need be; the board's files go to `folder/board`, the linked program into `folder`.
    include : paths
        Folders with headers.
    flags : strings
        For example -D definitions.

    Returns
    -------
    Path
        The linked program (ELF).

    Raises
    ------
    BoardError
        The compiler is missing, refuses the source, or the program does not fit the board.
    """
    if not has_compiler(board):
        raise missing(board.compiler)
    own = write_project(board, folder / "board")
    linked = folder / program
    command = [board.compiler, "-std=c99", optimization, *WARNINGS, *SECTIONS, *board.flags, *flags]
    command += [f"-I{path}" for path in (folder / "board", *include)]
    command += [str(path) for path in (*sources, *own)]
    command += [*board.link_flags, "-Wl,--gc-sections", "-o", str(linked)]
    if board.linker_script:
        command.append(f"-T{folder / 'board' / 'linker.ld'}")
    done = tools.run(command)
    if done.returncode:
        raise BoardError(f"{board.name}: {_reason(done.stderr, board)}")
    return linked


def _reason(messages: str, board: Board) -> str:
    overflow = re.search(r"region `(\w+)' overflowed by (\d+) bytes", messages)
    if overflow:
        memory, region = ("flash", board.flash) if overflow[1].startswith("FLASH") else ("RAM", board.ram)
        return f"the program needs {int(overflow[2]):,} bytes more {memory} than the board's {region.size:,}"
    return f"{board.compiler} failed: {messages.strip()}"


def size(board: Board, program: Path) -> Size:
    """Return what a linked program takes of the board's flash and RAM.

    Raises
    ------
    BoardError
        The board's `size` tool is missing or cannot read the program.
    """
    tool = board.compiler.removesuffix("gcc").removesuffix("cc") + "size"
    if shutil.which(tool) is None:
        raise missing(board.compiler)
    done = tools.run([tool, "-A", str(program)])
    if done.returncode:
        raise BoardError(f"{program}: {done.stderr.strip()}")
    sections = {row[0]: int(row[1]) for line in done.stdout.splitlines() if len(row := line.split()) == 3 and row[1].isdigit()}
    data = sections.get(".data", 0)
    flash = sum(sections.get(name, 0) for name in (".text", ".ARM.exidx", ".rodata", ".boot")) + data
    return Size(flash, data + sum(sections.get(name, 0) for name in (".bss", ".stack", *board.pool_sections.values())))
