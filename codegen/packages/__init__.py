"""A network as a library in the layout of a build system, with examples: one module a system, one tree of C for all."""

from __future__ import annotations

from collections.abc import Callable

from codegen.packages import arduino, cmake, cmsis_pack, esp_idf, make, platformio, zephyr
from codegen.packages.library import Library

# Name of a system to what its layout has besides `src/`, path to text.
SYSTEMS: dict[str, Callable[[Library], dict[str, str]]] = {
    "arduino": arduino.files,
    "platformio": platformio.files,
    "zephyr": zephyr.files,
    "esp-idf": esp_idf.files,
    "cmsis-pack": cmsis_pack.files,
    "cmake": cmake.files,
    "make": make.files,
}

__all__ = ["SYSTEMS", "Library"]
