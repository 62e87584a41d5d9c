"""The machine code of one kernel, as the ahead-of-time objects have it, which themselves name no function.

    python -m benchmarks.kernels.assembly                                  the functions of the machine's best instruction set
    python -m benchmarks.kernels.assembly tile_i8 [--isa avx2]             the instructions of those with this word in their names
    python -m benchmarks.kernels.assembly convolution --machine aarch64 --isa neondot

Compiling takes a minute. Small functions have none of their own: they are parts of those that call them. Needs objdump (Debian:
apt install binutils), for other processors LLVM's (apt install llvm).
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

HEADER = re.compile(r"^[0-9a-f]+ <(.+)>:$", re.MULTILINE)


def compiled(isa_name: str, machine: str) -> bytes:
    """Return the object file of all kernels, before it is linked. Kernels must not have been imported."""
    from edgebn.kernels import isa

    isa.select_for_building(isa_name)
    from edgebn.kernels import aot_compiler

    return aot_compiler.Compiler(isa.SELECTED, machine).executor()


def disassembled(code: bytes, machine: str) -> str:
    names = ("objdump", "llvm-objdump") if machine == platform.machine() else ("llvm-objdump", "llvm-objdump-19")
    tool = next(filter(None, map(shutil.which, names)), None)
    if tool is None:
        raise SystemExit(f"{names[0]} is not installed")
    with tempfile.NamedTemporaryFile(suffix=".o") as file:
        file.write(code)
        file.flush()
        command = [tool, "-d", "--no-show-raw-insn", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def functions(listing: str) -> Iterator[tuple[str, str]]:
    """Yield each function's name and instructions."""
    parts = HEADER.split(listing)[1:]
    yield from zip(map(plain, parts[::2]), parts[1::2], strict=True)


def plain(symbol: str) -> str:
    """Return Numba's name of a function as Python has it: _ZN6edgebn7kernels4pool11average_f32B3v73... is pool.average_f32."""
    rest, parts = symbol.removeprefix("_ZN"), []
    while rest != symbol and (length := re.match(r"\d+", rest)):
        end = length.end() + int(length[0])
        parts.append(rest[length.end() : end])
        rest = rest[end:]
    return ".".join(parts).removeprefix("edgebn.kernels.") or symbol


def main() -> None:
    from edgebn.kernels import aot

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("word", nargs="?", help="a part of functions' names; without it they are listed")
    parser.add_argument("--machine", default=platform.machine())
    parser.add_argument("--isa", help="instruction set (default: the best of the machine)")
    options = parser.parse_args()
    known = aot.sets_of(options.machine)
    name = options.isa or known[0]
    if name not in known:
        parser.error(f"--isa {name}: {options.machine} has {', '.join(known)}")
    found = list(functions(disassembled(compiled(name, options.machine), options.machine)))
    if options.word is None:
        for function, body in sorted(found, key=lambda one: -one[1].count("\n")):
            print(f"{body.count(chr(10)):8} instructions  {function}")
        return
    chosen = [one for one in found if options.word in one[0]]
    if not chosen:
        raise SystemExit(f"no function has '{options.word}' in its name: without a word all are listed")
    for function, body in chosen:
        print(f"{function}:{body.rstrip()}\n")


if __name__ == "__main__":
    main()
