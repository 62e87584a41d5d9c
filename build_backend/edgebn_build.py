"""The build backend: setuptools, whose wheels carry ahead-of-time objects where these can be. `setup.py` does what is decided here.

    pip wheel --no-deps .                                      objects for this kind of processor
    pip wheel --no-deps --config-settings=machine=aarch64 .    for another one (needs lld)

Only a wheel needs the compiler (Numba) while it is built; source distributions and editable installations need setuptools alone.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = dict[str, Any] | None

# Kinds of processor that there are objects for: all when asked for, else those that the compiler itself runs on.
# The last two are macOS' and Windows' names: objects for those systems.
MACHINES = ("x86_64", "aarch64", "armv7l", "armv6l", "riscv64", "arm64", "AMD64")
WITH_COMPILER = MACHINES[:2] if sys.maxsize > 2**32 else ()
COMPILER = ("numpy>=2.0", "numba>=0.61")

# The time of every file in an archive, where nobody set another (reproducible-builds.org): the first that a zip file can say. So
# the same sources give the same bytes.
os.environ.setdefault("SOURCE_DATE_EPOCH", "315532800")

# The kind of processor whose objects go into what is being built, or None: read by setup.py, which setuptools runs in this process.
shipped: str | None = None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what setuptools needs, and the compiler where there will be objects."""
    compiler = COMPILER if _machine(config_settings) else ()
    return [*build_meta.get_requires_for_build_wheel(config_settings), *compiler]


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    """Write the metadata that the wheel will have."""
    _choose(config_settings)
    return build_meta.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build the wheel, with objects where they can be built."""
    _choose(config_settings)
    if shipped is None:
        print("edgebn: no objects are built here (no Linux on x86_64 or aarch64, or no linker): Numba compiles at run time")
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def _choose(config_settings: Settings) -> None:
    global shipped  # noqa: PLW0603  # one build a process, says PEP 517
    shipped = _machine(config_settings)


def _machine(config_settings: Settings) -> str | None:
    """Return the kind of processor to build for: the one that is asked for, else this one where objects can be built for it."""
    asked = (config_settings or {}).get("machine")
    if asked is not None and asked not in MACHINES:
        sys.exit(f"error: machine={asked}: there are objects for {', '.join(MACHINES)}")
    if asked is not None and (asked != platform.machine() or asked not in WITH_COMPILER):
        if not shutil.which("ld.lld"):
            sys.exit(f"error: linking for {asked} on {platform.machine()} needs lld (Debian: apt install lld)")
        return asked
    can_link = shutil.which("cc") or shutil.which("ld.lld")
    return platform.machine() if platform.system() == "Linux" and platform.machine() in WITH_COMPILER and can_link else None
