"""Libraries that films, cameras and sounds need: extras of the package, imported when used, with one line where one is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edgebn.errors import ModelError

EXTRAS = {"cv2": "video", "soundfile": "sound", "sounddevice": "sound", "starlette": "web", "uvicorn": "web", "PIL": "images"}
PACKAGES = {"sounddevice": "libportaudio2"}  # of Debian, with the libraries of the system that they load
NAMES = {"cv2": "OpenCV", "PIL": "Pillow"}


def needed(module: str, what: str) -> Any:
    """Return a module.

    Raises
    ------
    ModelError
        It is not installed, or lacks a library of the system.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError:
        name = NAMES.get(package, package)
        raise ModelError(f"{what} needs {name}; install it with: pip install 'edgebn[{EXTRAS[package]}]'") from None
    except OSError as error:
        remedy = f"; Debian has it: apt install {PACKAGES[package]}" if package in PACKAGES else ""
        raise ModelError(f"{what} needs a library that {module} cannot find: {error}{remedy}") from None
