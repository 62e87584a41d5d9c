"""A library of PlatformIO's: library.json, src/, and the examples for its Arduino framework."""

from __future__ import annotations

import json

from codegen.packages import arduino
from codegen.packages.library import KEYWORDS, VERSION, Library
from codegen.stamp import LICENSE
from edgebn import __version__

TRACED = " For that,\n  `platformio.ini` needs `build_flags = -DEDGEBN_TRACE`; without, `edgebn device run` and `bench` work."


def files(library: Library) -> dict[str, str]:
    """Return what the layout has besides src/, path to text."""
    manifest = {
        "name": library.name,
        "version": VERSION,
        "description": library.summary,
        "keywords": KEYWORDS,
        "license": LICENSE,
        "authors": [{"name": f"Made by edgebn {__version__}"}],
        "frameworks": "*",
        "platforms": "*",
        "headers": f"{library.name}.h",
        "build": {"srcDir": "src", "includeDir": "src", "flags": "-ffp-contract=off"},
        "examples": [
            {"name": example, "base": f"examples/{example}", "files": sorted(_files_of(library, example))}
            for example in ("answer", "link")
        ],
    }
    use = "Copy the folder into `lib/` of your project, or name it there: `lib_deps = symlink:///path/of/this/folder`."
    return {
        "library.json": json.dumps(manifest, indent=2) + "\n",
        "README.md": library.readme("a PlatformIO library", use, TRACED),
        **arduino.sketches(library),
    }


def _files_of(library: Library, example: str) -> list[str]:
    folder = f"examples/{example}/"
    return [path.removeprefix(folder) for path in arduino.sketches(library) if path.startswith(folder)]
