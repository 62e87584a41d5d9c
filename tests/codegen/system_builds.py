"""Builds a library from `generate --as` the way its system would, for this computer: with the system's own rules about folders and
manifests, and in tests/codegen/systems what stands in for its core, its CMake functions and its headers.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

SYSTEMS = Path(__file__).parent / "systems"
LINE = SYSTEMS / "line.c"
WARNINGS = [
    "all",
    "extra",
    "pedantic",
    "conversion",
    "shadow",
    "undef",
    "cast-align",
    "strict-prototypes",
    "double-promotion",
    "error",
]
STRICT = ["-O0", "-DEDGEBN_OPTIMIZE_AS_TOLD", *(f"-W{name}" for name in WARNINGS)]
OF_C_ALONE = {"-Wstrict-prototypes"}


def run(command, **settings):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


def answers(program, codes):
    """Run the example of a network `one` on inputs, after it has checked its recorded one, and return the numbers that it shows."""
    done = subprocess.run([program], input=codes.tobytes(), capture_output=True, check=False, timeout=300)
    said = done.stdout.decode().replace("\r", "").splitlines()
    assert said[1] == "one: as the reference"
    return [[int(word) for word in re.findall(r"-?\d+", line.removeprefix("one:"))] for line in said[2:]]


def linked(sources, include, target, flags=()):
    """Compile C and C++ files and link them by g++, as systems with a C++ core do."""
    objects = []
    target.parent.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sources):
        objects.append(target.parent / f"{target.name}_{number}.o")
        is_c = source.suffix == ".c"
        compiler = ["gcc", "-std=gnu11"] if is_c else ["g++", "-std=gnu++11"]
        strict = [flag for flag in STRICT if is_c or flag not in OF_C_ALONE]
        folders = [f"-I{folder}" for folder in include]
        run([*compiler, *strict, *flags, *folders, "-c", source, "-o", objects[-1]])
    run(["g++", *objects, "-o", target])
    return target


def c_files(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in {".c", ".cpp"})


def is_unstamped(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


# ---- a library of each system: (folders with headers, sources), as its manifest says ----


def arduino_library(folder):
    """Arduino's 1.5 format: library.properties, headers in src/, all of src/ compiled."""
    facts = dict(line.split("=", 1) for line in is_unstamped((folder / "library.properties").read_text()))
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "architectures"} <= set(facts)
    assert (folder / "src" / facts["includes"]).is_file()
    return [folder / "src"], c_files(folder / "src")


def platformio_library(folder):
    facts = json.loads((folder / "library.json").read_text())
    assert {"name", "version"} <= set(facts)
    for example in facts["examples"]:
        assert all((folder / example["base"] / file).is_file() for file in example["files"])
    assert (folder / facts["build"]["includeDir"] / facts["headers"]).is_file()
    return [folder / facts["build"]["includeDir"]], c_files(folder / facts["build"]["srcDir"])


def cmsis_library(folder):
    """Both the pack and the layer; they name the same files."""
    yaml = pytest.importorskip("yaml")
    (pdsc,) = folder.glob("*.pdsc")
    found = ET.parse(pdsc).getroot().findall("components/component/files/file")
    by_kind = {"include": [], "source": []}
    for file in found:
        by_kind[file.get("category")].append(folder / file.get("name"))
    (layer,) = folder.glob("*.clayer.yml")
    layer = yaml.safe_load(layer.read_text())["layer"]
    assert [folder / file["file"] for group in layer["groups"] for file in group["files"]] == by_kind["source"]
    assert [folder / path for path in layer["add-path"]] == by_kind["include"]
    return by_kind["include"], by_kind["source"]


# ---- a program of each system ----


def of_arduino(folder, example, library=arduino_library, flags=()):
    """A sketch: its .ino as C++ behind Arduino's header, the C files beside it, the library, the core."""
    if example == "link" and not flags:  # as README.md says
        header = folder / "src" / "kernels" / "edgebn_trace.h"
        header.write_text(f"#define EDGEBN_TRACE\n{header.read_text()}")
    sketch = folder / "examples" / example
    include, sources = library(folder)
    made = folder.parent / f"{folder.name}_{example}"
    made.mkdir()
    (made / "sketch.cpp").write_text(f"#include <Arduino.h>\n{(sketch / f'{example}.ino').read_text()}")
    beside = [path for path in c_files(sketch) if path.parent == sketch]
    core = [SYSTEMS / "arduino" / "core.cpp", LINE]
    include = [*include, sketch, SYSTEMS / "arduino"]
    return linked([made / "sketch.cpp", *beside, *sources, *core], include, made / "build" / "program", flags)


def of_platformio(folder, example):
    return of_arduino(folder, example, platformio_library, ["-DEDGEBN_TRACE"] if example == "link" else ["-DANSWER"])


def of_cmsis(folder, example):
    include, sources = cmsis_library(folder)
    own = folder / "examples" / example
    return linked(
        [*c_files(own), *sources],
        [*include, own],
        folder / f"build_{example}" / "program",
        ["-DEDGEBN_TRACE"] if example == "link" else [],
    )


def cmake(source, build, *settings):
    environment = {**os.environ, "STRICT": ";".join(STRICT), "IDF_PATH": str(SYSTEMS / "esp_idf")}
    flags = [f"-DZephyr_DIR={SYSTEMS / 'zephyr'}", "-DCMAKE_BUILD_TYPE=None"]
    run(["cmake", "-S", source, "-B", build, *flags, *settings], env=environment)
    run(["cmake", "--build", build], env=environment)


def of_zephyr(folder, example):
    cmake(folder / "samples" / example, folder / f"build_{example}")
    return folder / f"build_{example}" / "app"


def of_esp_idf(folder, example):
    cmake(folder / "examples" / example, folder / f"build_{example}")
    return folder / f"build_{example}" / "main" / "app"


def of_cmake(folder, example):
    if not (folder / "build").exists():
        cmake(folder, folder / "build", f"-DCMAKE_C_FLAGS={' '.join(STRICT)}")
    (found,) = (folder / "build").glob(f"*_{example}")
    return found


def of_make(folder, example):
    run(["make", "-s", "examples", f"CFLAGS={' '.join(STRICT)}"], cwd=folder)
    return folder / "build" / example


PROGRAMS = {
    "arduino": of_arduino,
    "platformio": of_platformio,
    "zephyr": of_zephyr,
    "esp-idf": of_esp_idf,
    "cmsis-pack": of_cmsis,
    "cmake": of_cmake,
    "make": of_make,
}


# ---- several libraries in one program of a user's ----


def together_by_manifest(library):
    def build(folders, main):
        parts = [library(folder) for folder in folders]
        include = [path for headers, _ in parts for path in headers]
        return linked([main, *(file for _, files in parts for file in files)], include, main.parent / "build" / "program")

    return build


def together_zephyr(folders, main):
    application = main.parent / "application"
    (application / "src").mkdir(parents=True)
    shutil.copy(main, application / "src")
    (application / "prj.conf").write_text("".join(f"CONFIG_{folder.name.upper()}_NETWORK=y\n" for folder in folders))
    (application / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.20.0)\nset(ZEPHYR_EXTRA_MODULES {' '.join(map(str, folders))})\n"
        "find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})\nproject(both C)\ntarget_sources(app PRIVATE src/main.c)\n"
    )
    cmake(application, application / "build")
    return application / "build" / "app"


def together_esp_idf(folders, main):
    application = main.parent / "application"
    (application / "main").mkdir(parents=True)
    text = main.read_text().replace("int main(void)", "void app_main(void)").replace("return 0;", "fflush(stdout);")
    (application / "main" / "main.c").write_text("void app_main(void);\n" + text)
    (application / "main" / "CMakeLists.txt").write_text("idf_component_register(SRCS main.c INCLUDE_DIRS .)\n")
    (application / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nset(EXTRA_COMPONENT_DIRS {' '.join(map(str, folders))})\n"
        "include($ENV{IDF_PATH}/tools/cmake/project.cmake)\nproject(both)\n"
    )
    cmake(application, application / "build")
    return application / "build" / "main" / "app"


def together_cmake(folders, main):
    children = "\n".join(f"add_subdirectory({folder} {folder.name})" for folder in folders)
    (main.parent / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.13)\nproject(both C)\n{children}\nadd_executable(both main.c)\n"
        f"target_link_libraries(both PRIVATE {' '.join(folder.name for folder in folders)})\n"
    )
    cmake(main.parent, main.parent / "build", f"-DCMAKE_C_FLAGS={' '.join(STRICT)}")
    return main.parent / "build" / "both"


def together_make(folders, main):
    libraries = []
    for folder in folders:
        run(["make", "-s", f"CFLAGS={' '.join(STRICT)}"], cwd=folder)
        libraries.append(folder / "build" / f"lib{folder.name}.a")
    include = [f"-I{folder / 'src'}" for folder in folders]
    run(["cc", *STRICT, *include, main, *libraries, "-o", main.parent / "both"])
    return main.parent / "both"


TOGETHER = {
    "arduino": together_by_manifest(arduino_library),
    "platformio": together_by_manifest(platformio_library),
    "zephyr": together_zephyr,
    "esp-idf": together_esp_idf,
    "cmsis-pack": together_by_manifest(cmsis_library),
    "cmake": together_cmake,
    "make": together_make,
}
