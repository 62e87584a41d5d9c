"""Links ahead-of-time objects for Linux, macOS and Windows, wherever the builder runs: no library of the other system is needed.

What objects may call stands here; a linker refuses one that wants more.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebn.kernels import features, native

if TYPE_CHECKING:
    from edgebn.kernels.aot_compiler import Compiler

Libraries = Mapping[str, tuple[str, ...]]

EXPORTS = (native.ENTRY, native.FAST_CALL, native.MANIFEST)

# All that objects may call: the oldest version that the C library of the day has of each will do.
LINUX = {"libm.so.6": ("expf", "tanhf", "rintf"), "libc.so.6": ("memcpy", "memmove", "memset", "clock_gettime", "usleep")}
# ARM's arithmetic of 64 bits on 32, and what finds its way back through functions: of the compiler's library, which comes with C's.
ARM32_HELPERS = ("d2lz", "f2lz", "l2d", "l2f", "ldivmod", "ul2d", "ul2f", "uldivmod", "unwind_cpp_pr0", "unwind_cpp_pr1")
ARM32 = {
    "libm.so.6": LINUX["libm.so.6"],
    "libc.so.6": (*LINUX["libc.so.6"], *(f"__aeabi_{name}" for name in ("memcpy", "memmove", "memset", "memclr"))),
    "libgcc_s.so.1": tuple(f"__aeabi_{name}" for name in ARM32_HELPERS),
}
# LLVM writes `bzero` and `memset_pattern16` itself; the linker asks for `dyld_stub_binder`.
DARWIN_FUNCTIONS = (*(name for names in LINUX.values() for name in names), "bzero", "memset_pattern16")
DARWIN = {"/usr/lib/libSystem.B.dylib": (*(f"_{name}" for name in DARWIN_FUNCTIONS), "dyld_stub_binder")}
# `__chkstk` is LLVM's, for functions whose variables take more than a page.
WINDOWS = {"ucrtbase.dll": ("expf", "tanhf", "rintf"), "ntdll.dll": ("memcpy", "memmove", "memset", "__chkstk")}

MACOS = "11.0"  # the first for such processors


class BuildError(RuntimeError):
    """An object could not be built; says what is missing."""


def libraries_of(machine: str) -> Libraries:
    """Return what objects of a kind of processor may call, by the name of the library."""
    others: Mapping[str, Libraries] = {"arm64": DARWIN, "AMD64": WINDOWS, "armv7l": ARM32, "armv6l": ARM32}
    return others.get(machine, LINUX)


def link(machine: str, compiler: Compiler, parts: Sequence[Path], linked: Path) -> None:
    """Link object files to `linked`, in whose folder the libraries' stand-ins are left.

    Raises
    ------
    BuildError
        The linker is missing or failed.
    """
    if machine in FOREIGN:
        _found("lld", machine)
    FOREIGN.get(machine, _link_for_linux)(machine, compiler, parts, linked)


def _link_for_linux(machine: str, compiler: Compiler, parts: Sequence[Path], linked: Path) -> None:
    stubs = []
    for library, functions in libraries_of(machine).items():
        code = linked.with_name(f"{library}.o")
        code.write_bytes(compiler.stubs(functions))
        stubs.append(linked.with_name(library))
        _shared(machine, [code], stubs[-1], f"-soname={library}")
    # defs: an object that needs anything but these functions is a defect of a kernel.
    _shared(machine, [*parts, *stubs], linked, "-s", "--gc-sections", "-znoexecstack", "-zdefs")


def _shared(machine: str, parts: Sequence[Path], linked: Path, *options: str) -> None:
    if machine == features.machine() and shutil.which("cc"):
        command = ["cc", "-nostartfiles", "-nostdlib", *(f"-Wl,{option}" for option in options)]
    else:
        command = [_found("ld.lld", machine), *options]
    _run([*command, "-shared", "-o", str(linked), *map(str, parts)])


def _link_for_macos(
    machine: str,
    compiler: Compiler,  # noqa: ARG001  # the form of every linker; stand-ins are text here
    parts: Sequence[Path],
    linked: Path,
) -> None:
    """Link a library of macOS: signed by nobody, as its linker does on such processors, which load nothing without."""
    stubs = []
    for number, (library, functions) in enumerate(libraries_of(machine).items()):
        stubs.append(linked.with_name(f"{number}.tbd"))
        stubs[-1].write_text(
            f"--- !tapi-tbd\ntbd-version: 4\ntargets: [ {machine}-macos ]\ninstall-name: '{library}'\n"
            f"exports:\n  - targets: [ {machine}-macos ]\n    symbols: [ {', '.join(functions)} ]\n...\n",
            encoding="ascii",
        )
    command = [_found("lld", machine), "-flavor", "darwin", "-arch", machine, "-platform_version", "macos", MACOS, MACOS]
    command += ["-dylib", "-dead_strip", "-install_name", f"@rpath/{linked.name}", "-adhoc_codesign"]
    for name in EXPORTS:
        command += ["-exported_symbol", f"_{name}"]
    _run([*command, "-o", str(linked), *map(str, (*parts, *stubs))])


def _link_for_windows(machine: str, compiler: Compiler, parts: Sequence[Path], linked: Path) -> None:
    used = linked.with_name("used.o")
    used.write_bytes(compiler.stubs(["_fltused"]))  # LLVM's mark of code with floating point, which C's library defines
    stubs = []
    for library, functions in libraries_of(machine).items():
        code = linked.with_name(f"{library}.o")
        code.write_bytes(compiler.stubs(functions))
        stubs.append(_dll(machine, [code], linked.with_name(library), functions))
    _dll(machine, [*parts, used, *stubs], linked, (native.ENTRY, native.FAST_CALL, f"{native.MANIFEST},data"))


def _dll(machine: str, parts: Sequence[Path], linked: Path, exports: Sequence[str]) -> Path:
    """Link a DLL that has nothing to do when it is loaded, and return what others link against; Brepro keeps the time out of it."""
    library = linked.with_name(f"{linked.name}.lib")
    command = [
        _found("lld", machine),
        "-flavor",
        "link",
        "/dll",
        "/noentry",
        "/nodefaultlib",
        "/machine:x64",
        "/opt:ref",
        "/Brepro",
    ]
    command += [f"/export:{name}" for name in exports]
    _run([*command, f"/implib:{library}", f"/out:{linked}", *map(str, parts)])
    return library


FOREIGN = {"arm64": _link_for_macos, "AMD64": _link_for_windows}


def _found(linker: str, machine: str) -> str:
    if not shutil.which(linker):
        raise BuildError(f"no linker for {machine} objects on {features.machine()}: install {linker} (Debian: apt install lld)")
    return linker


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a linker, with our own arguments
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")
