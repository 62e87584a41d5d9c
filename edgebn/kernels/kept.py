"""Compiles a function, or takes the machine code that an earlier process kept. Kept code that is not as it was written is replaced.

Power cuts, full disks and half-done copies leave files cut, empty or full of anything; Numba unpickles them as they are, and would
fail at every start. So a seal lies beside Numba's files, written last: what does not match it is compiled again. Where nothing can
be kept, the code is compiled for this process alone.
"""

from __future__ import annotations

import contextlib
import linecache
import sys
import types
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgebn.kernels import cache
from edgebn.kernels.jit import compiling, decorator, write_addresses_as_sums


def compiled(name: str, text: str, names: Mapping[str, Any], signature: Any) -> Callable[..., Any]:
    """Return the function `run` of a source text, compiled for one signature only: no call ever compiles again.

    Parameters
    ----------
    name : str
        Of the function among what is kept.
    text : str
    names : mapping of str to anything
        What the text calls.
    signature : Numba signature
    """
    folder = cache.folder()
    write_addresses_as_sums()
    with compiling():
        if folder is not None:
            with contextlib.suppress(OSError, RuntimeError):  # what cannot be kept: a full disk, a folder that Numba cannot use
                return _kept(folder / f"{name}.py", text, names, signature)
        dispatcher = _dispatcher(loaded(name, f"<edgebn {name}>", text, names), keep=False)
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher


def is_kept(name: str, text: str, names: Mapping[str, Any]) -> bool:
    """Whether an earlier process kept the function, as far as its seal says: `compiled` looks whether it is whole."""
    folder = cache.folder()
    if folder is None or not (path := folder / f"{name}.py").exists():
        return False
    try:
        dispatcher = _dispatcher(loaded(name, str(path), text, names), keep=True)
    except RuntimeError:  # a folder that Numba cannot use
        return False
    return _seal(Path(dispatcher.stats.cache_path), name).exists()


def loaded(name: str, filename: str, text: str, names: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the function `run` of a source text, in a module of its own. No bytecode is kept: it could be damaged as well."""
    module = types.ModuleType(f"edgebn_{name}")
    module.__file__ = filename
    vars(module).update(names)
    sys.modules[module.__name__] = module  # Numba looks the module up by name when it loads machine code
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), vars(module))  # noqa: S102  # our own text, from our own kernels' signatures
    function: Callable[..., Any] = module.run
    return function


def _dispatcher(function: Callable[..., Any], *, keep: bool) -> Any:
    return decorator(nogil=True, error_model="numpy", cache=keep)(function)


def _kept(path: Path, text: str, names: Mapping[str, Any], signature: Any) -> Callable[..., Any]:
    """Return the function from what is kept beside its source's file `path`, compiled and kept anew where that does not serve."""
    cache.write_once(path, text)
    function = loaded(path.stem, str(path), text, names)
    dispatcher = _dispatcher(function, keep=True)
    place = Path(dispatcher.stats.cache_path)
    if not is_whole(place, path.stem):
        discard(place, path.stem)
    try:
        dispatcher.compile(signature)
    except Exception:  # noqa: BLE001  # unpickling raises anything
        if not dispatcher.overloads:  # whole, and yet of no use: another Numba of the same version, say
            discard(place, path.stem)
            dispatcher = _dispatcher(function, keep=True)
            dispatcher.compile(signature)
        # else it is compiled, and only keeping it failed
    if dispatcher.stats.cache_misses:
        with contextlib.suppress(OSError):
            seal(place, path.stem)
    dispatcher.disable_compile()
    return dispatcher


def _files(place: Path, name: str) -> list[Path]:
    return sorted(place.glob(f"{name}.*.nb[ic]"))


def _seal(place: Path, name: str) -> Path:
    return place / f"{name}.seal"


def _inventory(place: Path, name: str) -> str:
    """Return name, size and checksum of every file that is kept."""
    contents = ((path.name, path.read_bytes()) for path in _files(place, name))
    return "".join(f"{file} {len(data)} {zlib.crc32(data):08x}\n" for file, data in contents)


def is_whole(place: Path, name: str) -> bool:
    """Whether what is kept is what was sealed; also where nothing is kept yet."""
    try:
        found = _inventory(place, name)
        return found == "" or _seal(place, name).read_bytes() == found.encode()
    except OSError:
        return False


def seal(place: Path, name: str) -> None:
    """Say that what is kept is whole.

    Another process may write or take away the same files meanwhile: the seal then matches nothing, and a later start compiles.
    """
    cache.write_once(_seal(place, name), _inventory(place, name))


def discard(place: Path, name: str) -> None:
    """Take away what is kept; Numba takes what another process takes away first as never kept.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    for path in (_seal(place, name), *_files(place, name)):
        path.unlink(missing_ok=True)
