"""Builds the ahead-of-time objects: the JIT's kernels, compiled by Numba for a processor that need not be this one.

    python -m edgebn.kernels.aot                                 every instruction set of this machine's kind of processor
    python -m edgebn.kernels.aot --machine aarch64 --isa neon    one of another kind
    python -m edgebn.kernels.aot --output folder                 elsewhere than in edgebn/kernels/objects

Each object is built in a process of its own, because kernels are written for one instruction set at import. Nothing that is built
is run here. Linking needs `cc` for this kind of processor and `ld.lld` for others (Debian: apt install lld). Objects are for Linux:
elsewhere the JIT serves.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from edgebn.kernels import features, isa, native

if TYPE_CHECKING:
    from edgebn.kernels.aot_compiler import Compiler

SYSTEM = "Linux"
MACHINES = ("x86_64", "aarch64", "armv7l", "armv6l", "riscv64")
TERMINAL = Path("/dev/tty")
OBJECTS = Path(__file__).parent / "objects"
# All that objects may call: the oldest version that the C library of the day has of each will do.
LIBRARIES = {"libm.so.6": ("expf", "tanhf", "rintf"), "libc.so.6": ("memcpy", "memmove", "memset", "sched_yield", "usleep")}
# ARM's arithmetic of 64 bits on 32, and what finds its way back through functions: of the compiler's library, which comes with C's.
ARM32_HELPERS = ("d2lz", "f2lz", "l2d", "l2f", "ldivmod", "ul2d", "ul2f", "uldivmod", "unwind_cpp_pr0", "unwind_cpp_pr1")
OF_32_BITS = {"libgcc_s.so.1": tuple(f"__aeabi_{name}" for name in ARM32_HELPERS)}


def libraries_of(machine: str) -> dict[str, tuple[str, ...]]:
    """Return what objects of a kind of processor may call, by the name of the library."""
    helpers = tuple(f"__aeabi_{name}" for name in ("memcpy", "memmove", "memset", "memclr"))
    return LIBRARIES | OF_32_BITS | {"libc.so.6": (*LIBRARIES["libc.so.6"], *helpers)} if machine.startswith("arm") else LIBRARIES


class BuildError(RuntimeError):
    """An object could not be built; says what is missing."""


def sets_of(machine: str) -> list[str]:
    """Return the names of the instruction sets for which objects of a kind of processor are built, best first."""
    return [one.name for one in isa.INSTRUCTION_SETS if not one.machines or machine in one.machines]


def build(name: str, machine: str, output: Path) -> Path:
    """Build one object in this process, whose kernels must not have been imported, and return its path.

    Raises
    ------
    BuildError
        The linker is missing or failed.
    """
    isa.select_for_building(name)
    from edgebn.kernels import aot_compiler, jit_executor

    compiler = aot_compiler.Compiler(isa.SELECTED, machine)
    code = [compiler.executor(), compiler.text(native.MANIFEST, json.dumps(jit_executor.signatures()))]
    output.mkdir(parents=True, exist_ok=True)
    target = output / native.file_name(name, machine, SYSTEM)
    with tempfile.TemporaryDirectory(dir=output) as folder:
        parts = []
        for index, data in enumerate(code):
            parts.append(Path(folder) / f"{index}.o")
            parts[-1].write_bytes(data)
        linked = Path(folder) / target.name
        _link(machine, compiler, parts, linked)
        linked.write_bytes(native.sealed(linked.read_bytes()))
        linked.replace(target)
    for stale in output.glob(f"{target.name.rpartition('-')[0]}-*.so"):
        if stale != target:
            stale.unlink()
    return target


def _link(machine: str, compiler: Compiler, parts: list[Path], linked: Path) -> None:
    """Link `parts` against stubs of the C library: no library of that processor is needed, and no version of any is asked for."""
    stubs = []
    for library, functions in libraries_of(machine).items():
        code = linked.with_name(f"{library}.o")
        code.write_bytes(compiler.stubs(functions))
        stubs.append(linked.with_name(library))
        _shared(machine, [code], stubs[-1], f"-soname={library}")
    # defs: an object that needs anything but these functions is a defect of a kernel.
    _shared(machine, [*parts, *stubs], linked, "-s", "--gc-sections", "-znoexecstack", "-zdefs")


def _shared(machine: str, parts: list[Path], linked: Path, *options: str) -> None:
    if machine == features.machine() and shutil.which("cc"):
        command = ["cc", "-nostartfiles", "-nostdlib", *(f"-Wl,{option}" for option in options)]
    elif shutil.which("ld.lld"):
        command = ["ld.lld", *options]
    else:
        raise BuildError(f"no linker for {machine} objects on {features.machine()}: install ld.lld")
    command += ["-shared", "-o", str(linked), *map(str, parts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a compiler, with our own arguments
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {done.stderr.strip()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description="build ahead-of-time objects of the kernels", prog="python -m edgebn.kernels.aot")
    parser.add_argument("--machine", default=features.machine(), choices=MACHINES, help="kind of processor")
    parser.add_argument("--isa", action="append", help="only this instruction set (may be given again)")
    parser.add_argument("--output", type=Path, default=OBJECTS, help="folder of the objects")
    options = parser.parse_args(arguments)
    known = sets_of(options.machine)
    wanted = options.isa or known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        parser.error(f"{', '.join(unknown)}: {options.machine} has {', '.join(known)}")
    if len(wanted) == 1:
        try:
            path = build(wanted[0], options.machine, options.output)
        except BuildError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(f"{path} ({path.stat().st_size // 1024} KiB)")
        return 0
    command = [sys.executable, "-m", "edgebn.kernels.aot", "--machine", options.machine, "--output", str(options.output), "--isa"]
    workers = min(os.cpu_count() or 1, len(wanted))
    tell(f"edgebn: compiling the kernels for {len(wanted)} instruction sets, {workers} at a time; that takes a minute or two")
    failed = False
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(subprocess.run, [*command, name], check=False): name for name in wanted}
        for count, done in enumerate(as_completed(running), start=1):
            failed |= bool(done.result().returncode)
            state = "failed" if done.result().returncode else "is ready"
            tell(f"edgebn: {running[done]} {state} ({count} of {len(wanted)})")
    return int(failed)


def tell(text: str) -> None:
    """Print a line of progress, to the terminal as well where the output goes elsewhere: pip hides what a build says."""
    print(text, flush=True)
    if not sys.stdout.isatty():
        with contextlib.suppress(OSError), TERMINAL.open("w", encoding="utf-8") as terminal:
            terminal.write(f"\r{text}\n")


if __name__ == "__main__":
    sys.exit(main())
