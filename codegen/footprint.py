"""What a network in C takes of a board, measured: its code, its constants, its stack, and the library functions that it calls.

Compiles the network's own two files as the project's Makefile does; knows nothing of main programs or emulators.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from boards import Board, toolchain, tools
from boards.tidy import temporary_folder
from codegen.build_files import OPTIMIZATION, WARNINGS
from codegen.project import EmittedProject
from edgebn.errors import BoardError

_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes \(([\w,]+)\)')
_INDIRECT = "__indirect_call"
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')


@dataclass(frozen=True)
class Footprint:
    """Bytes of one network on one board.

    Attributes
    ----------
    code, constants : int
        In flash: machine code with the kernels' own tables, and the parameter arrays.
    ram : int
        The arena.
    stack : int or None
        The most that one inference needs, over all paths of the call graph; library functions are not in it. None where the
        compiler cannot tell: recursion, calls through pointers, or arrays of variable size.
    calls : tuple of str
        Functions of the C library and the compiler's own that the network needs, sorted.
    """

    code: int
    constants: int
    ram: int
    stack: int | None
    calls: tuple[str, ...]


def measure(project: EmittedProject, board: Board) -> Footprint:
    """Compile the network of a project for a board with GCC and measure it.

    Raises
    ------
    BoardError
        The compiler is missing, or is no GCC, or refuses the code.
    """
    if not toolchain.has_compiler(board):
        raise toolchain.missing(board.compiler)
    with temporary_folder("edgebn-footprint-") as folder:
        network, parameters = (_compiled(project, board, file, folder) for file in (project.name, f"{project.name}_params"))
        sizes = [_sections(board, path) for path in (network, parameters)]
        constants = sizes[1]["rodata"] + sizes[1]["text"]
        defined, wanted = _symbols(board, [network, parameters])
        return Footprint(
            code=sizes[0]["text"] + sizes[0]["rodata"],
            constants=constants,
            ram=sum(size["data"] + size["bss"] for size in sizes),
            stack=deepest(_call_graph(board, network), f"{project.name}_run"),
            calls=tuple(sorted(wanted - defined)),
        )


def deepest(call_graph: str, root: str) -> int | None:
    """Return the bytes of stack on the worst path from `root`, given what -fcallgraph-info=su wrote; None where unbounded."""
    frames = {name: float("inf") if kind == "dynamic" else int(size) for name, size, kind in _NODE.findall(call_graph)}
    edges: dict[str, set[str]] = {}
    for source, target in _EDGE.findall(call_graph):
        edges.setdefault(source, set()).add(target)

    def depth(name: str, above: frozenset[str]) -> float:
        if name in above or name == _INDIRECT:
            return float("inf")
        below = (depth(target, above | {name}) for target in edges.get(name, ()))
        return frames.get(name, 0) + max(below, default=0)

    found = depth(root, frozenset())
    return None if found == float("inf") else int(found)


def _compiled(project: EmittedProject, board: Board, file: str, folder: Path) -> Path:
    target = folder / f"{file}.o"
    flags = ["-std=c99", OPTIMIZATION, *WARNINGS, "-ffunction-sections", "-fdata-sections", "-fcallgraph-info=su"]
    # The linker makes long calls, through a register, short ones again where the function is near: as the final image has them.
    flags += [flag for flag in board.flags if flag != "-mlongcalls"]
    _run([board.compiler, *flags, "-c", str(project.folder / f"{file}.c"), "-o", str(target)])
    return target


def _call_graph(board: Board, network: Path) -> str:
    """Return what -fcallgraph-info wrote, without indirect calls that the code has not.

    GCC 13 for Xtensa tells of calls of its own library (__umulsidi3) as indirect ones; a real one is a callx.
    """
    graph = network.with_suffix(".ci").read_text(encoding="utf-8")
    if "xtensa" in board.compiler and "callx" not in _run([_tool(board, "objdump"), "-d", str(network)]):
        return "\n".join(line for line in graph.splitlines() if _INDIRECT not in line)
    return graph


def _tool(board: Board, name: str) -> str:
    return board.compiler.removesuffix("gcc").removesuffix("cc") + name


def _sections(board: Board, path: Path) -> dict[str, int]:
    """Return the bytes of all sections whose names begin alike."""
    sizes = dict.fromkeys(("text", "rodata", "data", "bss"), 0)
    for line in _run([_tool(board, "size"), "-A", str(path)]).splitlines():
        words = line.split()
        for kind in sizes:
            if len(words) == 3 and words[0].lstrip(".s").startswith(kind.lstrip("s")):
                sizes[kind] += int(words[1])
    return sizes


def _symbols(board: Board, paths: list[Path]) -> tuple[set[str], set[str]]:
    """Return the names that object files define, and those they want."""
    defined, wanted = set(), set()
    for line in _run([_tool(board, "nm"), *(str(path) for path in paths)]).splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "U":
            wanted.add(words[1])
        elif len(words) == 3:
            defined.add(words[2])
    return defined, wanted


def _run(command: list[str]) -> str:
    done = tools.run(command)
    if done.returncode:
        raise BoardError(f"{command[0]} failed: {' '.join(done.stderr.split())[:500]}")
    return done.stdout
