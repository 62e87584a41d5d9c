"""Builds the ahead-of-time objects: the JIT's kernels, compiled by Numba for a processor that need not be this one.

    python -m edgebn.kernels.aot                                 every instruction set of this machine's kind of processor
    python -m edgebn.kernels.aot --machine aarch64 --isa neon    one of another kind
    python -m edgebn.kernels.aot --output folder                 elsewhere than in edgebn/kernels/objects

Each object is built in a process of its own, because kernels are written for one instruction set at import. Nothing that is built
is run here. Linking needs `cc` for this kind of processor and lld for others (Debian: apt install lld). Objects are for Linux, for
macOS on arm64 and for Windows on AMD64; elsewhere the JIT serves.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from edgebn.kernels import features, isa, linking, native

# Kinds of processor, as `features.machine()` has them there: on Apple's it is arm64, on Windows AMD64.
SYSTEMS = {"arm64": "Darwin", "AMD64": "Windows"}  # of all others Linux
MACHINES = ("x86_64", "aarch64", "armv7l", "armv6l", "riscv64", *SYSTEMS)
TERMINAL = Path("/dev/tty")
OBJECTS = Path(__file__).parent / "objects"


def sets_of(machine: str) -> list[str]:
    """Return the names of the instruction sets for which objects of a kind of processor are built, best first."""
    return [one.name for one in isa.INSTRUCTION_SETS if not one.machines or machine in one.machines]


def build(name: str, machine: str, output: Path) -> Path:
    """Build one object in this process, whose kernels must not have been imported, and return its path.

    Raises
    ------
    linking.BuildError
        The linker is missing or failed.
    """
    system = SYSTEMS.get(machine, "Linux")
    isa.select_for_building(name, system)
    from edgebn.kernels import aot_compiler, jit_executor

    compiler = aot_compiler.Compiler(isa.SELECTED, machine)
    code = [compiler.executor(), compiler.text(native.MANIFEST, "\n".join(map(native.line_of, jit_executor.signatures())))]
    output.mkdir(parents=True, exist_ok=True)
    target = output / native.file_name(name, machine, system)
    with tempfile.TemporaryDirectory(dir=output) as folder:
        parts = []
        for index, data in enumerate(code):
            parts.append(Path(folder) / f"{index}.o")
            parts[-1].write_bytes(data)
        linked = Path(folder) / target.name
        linking.link(machine, compiler, parts, linked)
        linked.write_bytes(native.sealed(linked.read_bytes()))
        linked.replace(target)
    for stale in output.glob(f"{target.name.rpartition('-')[0]}-*.so"):
        if stale != target:
            stale.unlink()
    return target


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
        except linking.BuildError as error:
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
