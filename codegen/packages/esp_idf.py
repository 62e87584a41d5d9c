"""A component of ESP-IDF's: idf_component_register, idf_component.yml, and projects; what is learned is kept in its NVS."""

from __future__ import annotations

from codegen.packages import board_header, examples
from codegen.packages.board_header import below
from codegen.packages.library import VERSION, Library, lines
from codegen.stamp import LICENSE

ENTRY = "void app_main(void)"
_PROJECT = """\
cmake_minimum_required(VERSION 3.16)

# The component that this folder is in; a project of yours has it in components/, or names it likewise.
set(EXTRA_COMPONENT_DIRS ../..)
include($ENV{{IDF_PATH}}/tools/cmake/project.cmake)
{traced}project({name}_{example})
"""
_TRACED = 'idf_build_set_property(COMPILE_OPTIONS "-DEDGEBN_TRACE" APPEND) # what every layer makes can be asked for\n'


def files(library: Library) -> dict[str, str]:
    """Return what the layout has besides src/, path to text."""
    name = library.name
    cmake = f"idf_component_register(\n  SRCS\n    {lines(library.sources, 4)}\n  INCLUDE_DIRS\n    src)\n"
    manifest = (
        f'version: "{VERSION}"\ndescription: "{library.summary}"\nlicense: {LICENSE}\n'
        'dependencies:\n  idf: ">=5.0"\nexamples:\n  - path: examples/answer\n  - path: examples/link\n'
    )
    use = (
        "Copy the folder into `components/` of your project. An example: `idf.py set-target esp32s3 build flash monitor` "
        "in `examples/answer`."
    )
    return {
        "CMakeLists.txt": cmake,
        "idf_component.yml": manifest,
        "README.md": library.readme("an ESP-IDF component", use),
        **_project(name, "answer", examples.answer(library, ENTRY), library.baud),
        **_project(name, "link", examples.link(library, ENTRY), library.baud),
    }


def _project(name: str, example: str, sources: dict[str, str], baud: int) -> dict[str, str]:
    includes = '#include "sdkconfig.h"\n'
    board = board_header.files("ESP-IDF", "board_esp_idf.c", "CONFIG_IDF_TARGET", "1000000u", includes, baud)
    made = {**sources, **board}
    listed = lines(sorted(file for file in made if file.endswith(".c")), 4)
    main = "# `main` may use every component without naming it.\n"
    main += f"idf_component_register(\n  SRCS\n    {listed}\n  INCLUDE_DIRS\n    .)\n"
    return below(
        f"examples/{example}",
        {
            "CMakeLists.txt": _PROJECT.format(name=name, example=example, traced=_TRACED if example == "link" else ""),
            "main/CMakeLists.txt": main,
            **below("main", made),
        },
    )
