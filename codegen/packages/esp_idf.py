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
_SET_TARGET = "idf.py set-target esp32s3"
_EXTERNAL = "CONFIG_SPIRAM_ALLOW_BSS_SEG_EXTERNAL_MEMORY"
# Without it ESP-IDF's linker script has no place for the section, and the arena would go where the linker likes.
_NEEDS_EXTERNAL = f"""\
if(ESP_PLATFORM AND NOT CMAKE_BUILD_EARLY_EXPANSION AND NOT {_EXTERNAL})
  message(FATAL_ERROR "{{name}} keeps a part of its arena in PSRAM: set CONFIG_SPIRAM and {_EXTERNAL}")
endif()
"""
_TRACED = 'idf_build_set_property(COMPILE_OPTIONS "-DEDGEBN_TRACE" APPEND) # what every layer makes can be asked for\n'


def files(library: Library) -> dict[str, str]:
    """Return what the layout has besides src/, path to text."""
    name = library.name
    cmake = f"idf_component_register(\n  SRCS\n    {lines(library.sources, 4)}\n  INCLUDE_DIRS\n    src)\n"
    if f"{_EXTERNAL}=y" in library.settings:
        cmake += _NEEDS_EXTERNAL.format(name=name)
    manifest = (
        f'version: "{VERSION}"\ndescription: "{library.summary}"\nlicense: {LICENSE}\n'
        'dependencies:\n  idf: ">=5.0"\nexamples:\n  - path: examples/answer\n  - path: examples/link\n'
    )
    use = (
        f"Copy the folder into `components/` of your project. An example: `{'idf.py' if library.settings else _SET_TARGET} "
        "build flash monitor` in `examples/answer`."
    )
    if library.settings:
        use += " A project of yours wants these lines of its `sdkconfig.defaults`, beside its own:\n\n    "
        use += lines(library.settings, 4)
    return {
        "CMakeLists.txt": cmake,
        "idf_component.yml": manifest,
        "README.md": library.readme("an ESP-IDF component", use),
        **_project(library, "answer", examples.answer(library, ENTRY)),
        **_project(library, "link", examples.link(library, ENTRY)),
    }


def _project(library: Library, example: str, sources: dict[str, str]) -> dict[str, str]:
    includes = '#include "sdkconfig.h"\n'
    board = board_header.files("ESP-IDF", "board_esp_idf.c", "CONFIG_IDF_TARGET", "1000000u", includes, library.baud)
    made = {**sources, **board}
    listed = lines(sorted(file for file in made if file.endswith(".c")), 4)
    main = "# `main` may use every component without naming it.\n"
    main += f"idf_component_register(\n  SRCS\n    {listed}\n  INCLUDE_DIRS\n    .)\n"
    return below(
        f"examples/{example}",
        {
            "CMakeLists.txt": _PROJECT.format(name=library.name, example=example, traced=_TRACED if example == "link" else ""),
            "main/CMakeLists.txt": main,
            **({"sdkconfig.defaults": "\n".join(library.settings) + "\n"} if library.settings else {}),
            **below("main", made),
        },
    )
