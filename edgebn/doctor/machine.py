"""What the system tells of the machine: processor, memory, governor, temperature, and versions of what is installed."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgebn import __version__

# What the answer to "which versions?" is made of; those that are not installed are left out.
PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "rich",
    "pillow",
    "h5py",
    "onnx",
    "flatbuffers",
    "torch",
    "opencv-python-headless",
    "ai-edge-litert",
    "onnxruntime",
    "ncnn",
    "tflite-micro",
)
CPUINFO, MODEL = Path("/proc/cpuinfo"), Path("/proc/device-tree/model")
MEMINFO = Path("/proc/meminfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq")
ZONES = Path("/sys/class/thermal")
# Lines of /proc/cpuinfo that name a processor: x86's, then Arm's.
NAMES = ("model name", "Hardware", "Model", "CPU part")


def machine() -> dict[str, Any]:
    """Return the facts by name; None, or nothing, where the system does not tell."""
    return {
        "board": _text(MODEL),
        "processor": processor(CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.exists() else ""),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "c_library": " ".join(platform.libc_ver()).strip() or None,
        "cores": os.cpu_count(),
        "memory_bytes": _memory("MemTotal"),
        "memory_free_bytes": _memory("MemAvailable"),
        "governor": _text(GOVERNOR / "scaling_governor"),
        "megahertz": _scaled(GOVERNOR / "scaling_cur_freq", 1000),
        "most_megahertz": _scaled(GOVERNOR / "cpuinfo_max_freq", 1000),
        "celsius": temperatures(ZONES),
    }


def processor(cpuinfo: str) -> str | None:
    """Return the processor's name from the text of /proc/cpuinfo."""
    for name in NAMES:
        found = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
        if found:
            return found[1].strip() if name != "CPU part" else f"Arm part {found[1].strip()}"
    return platform.processor() or None


def versions() -> dict[str, str]:
    """Return what is installed, by name."""
    found = {"edgebn": __version__, "python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def kernels() -> dict[str, Any]:
    """Return the instruction set, the features it was chosen by, and where compiled kernels come from."""
    from edgebn.kernels import isa, native, version

    shipped = native.load()
    found: dict[str, Any] = {
        "instruction_set": isa.SELECTED.name,
        "available": [one.name for one in isa.AVAILABLE],
        "features": sorted(isa.SELECTED.features),
        "sources": version.sources(),
        "object": str(shipped.path) if shipped else None,
        "cache": None,
    }
    if shipped is None:
        from edgebn.kernels import cache

        folder = cache.folder()
        found["cache"] = str(folder) if folder else None
    return found


def temperatures(folder: Path) -> dict[str, float]:
    """Return degrees Celsius by the zone's name."""
    found = {}
    for zone in sorted(folder.glob("thermal_zone*")):
        value = _scaled(zone / "temp", 1000)
        if value is not None:
            found[_text(zone / "type") or zone.name] = value
    return found


def _memory(name: str) -> int | None:
    found = re.search(rf"^{name}:\s*(\d+) kB", _text(MEMINFO) or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _scaled(path: Path, divisor: int) -> float | None:
    text = _text(path)
    try:
        return int(text) / divisor if text else None
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n") or None
    except OSError:  # not told, or not to everybody
        return None
