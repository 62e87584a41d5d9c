"""Emitted CMake files inside other people's projects: two models, a cross build, a tool chain file, a component of ESP-IDF."""

import shutil
import subprocess

import pytest

import codegen
from tests import emitted
from tests.codegen.test_emit_names import convolution

PARENT = """cmake_minimum_required(VERSION 3.13)
project(parent {languages})
{children}
add_executable(app main.c)
target_link_libraries(app PRIVATE {names})
"""
TOOLCHAIN = """set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m33 -mthumb -mfloat-abi=soft")
"""
# What ESP-IDF 5 does with a component: read it as a script for its requirements, then as a part of the build.
IDF_SCRIPT = """set(ESP_PLATFORM 1)
macro(idf_component_register)
  message("REGISTERED ${ARGN}")
endmacro()
function(scan)
  include(component/CMakeLists.txt)
endfunction()
scan()
"""
IDF_PROJECT = """cmake_minimum_required(VERSION 3.16)
project(app C)
set(ESP_PLATFORM 1)
function(idf_component_register)
  cmake_parse_arguments(given "" "" "SRCS;INCLUDE_DIRS;REQUIRES" ${ARGN})
  if(given_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "ESP-IDF does not know ${given_UNPARSED_ARGUMENTS}")
  endif()
  add_library(component STATIC ${given_SRCS})
  target_include_directories(component PUBLIC ${given_INCLUDE_DIRS})
endfunction()
add_subdirectory(component)
add_executable(app main.c)
target_link_libraries(app PRIVATE component)
"""


def cmake(folder, *settings, build=True):
    """Configure and build; return everything that was said."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    commands = [["cmake", "-B", "build", *settings]] + ([["cmake", "--build", "build", "--verbose"]] if build else [])
    said = ""
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        said += done.stdout + done.stderr
    return said


def main_text(names, body=""):
    includes = "".join(f'#include "{name}.h"\n' for name in names)
    calls = "".join(f"    {name}_init();\n" for name in names)
    return f"{includes}int main(void) {{\n{calls}{body}    return 0;\n}}\n"


def parent(folder, names, languages="C"):
    children = "\n".join(f"add_subdirectory({name})" for name in names)
    (folder / "CMakeLists.txt").write_text(PARENT.format(languages=languages, children=children, names=" ".join(names)))
    (folder / "main.c").write_text(main_text(names))


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
@pytest.mark.parametrize("languages", ["C", "C CXX"])
def test_two_models_are_parts_of_one_project(board, languages, tmp_path):
    """Under the flags of that project: none of ours, no program of ours."""
    for name in ("one", "two"):
        codegen.emit(convolution(), tmp_path / name, board, name=name)
    parent(tmp_path, ("one", "two"), languages)
    said = cmake(tmp_path)
    assert subprocess.run([tmp_path / "build/app"], check=False).returncode == 0
    assert not any(flag in said for flag in ("-Werror", "-O2", "-mcpu", "self_test"))


def test_two_adapting_models_are_parts_of_one_project(adapting_demo, tmp_path):
    for name in ("one", "two"):
        codegen.emit(adapting_demo[0], tmp_path / name, name=name, adapt=True)
    parent(tmp_path, ("one", "two"))
    cmake(tmp_path)
    assert subprocess.run([tmp_path / "build/app"], check=False).returncode == 0


def test_two_adapting_models_are_linked_from_all_their_files(adapting_demo, tmp_path):
    """As build systems do that compile every C file below a folder."""
    board = emitted.board_or_skip("host")
    for name in ("one", "two"):
        codegen.emit(adapting_demo[0], tmp_path / name, name=name, adapt=True)
    sources = [f"{name}/{file}" for name in ("one", "two") for file in (f"{name}.c", f"{name}_params.c", "kernels/edgebn_adapt.c")]
    (tmp_path / "main.c").write_text(main_text(("one", "two")))
    folders = [f"-I{name}" for name in ("one", "two")]
    subprocess.run([board.compiler, "-O2", "-Wall", "-Werror", *folders, *sources, "main.c", "-o", "app"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "app"], check=False).returncode == 0


@pytest.mark.parametrize("made_for", ["host", "nucleo-h743zi", "mps2-an386"])
def test_a_model_is_part_of_a_cross_build_of_theirs(made_for, tmp_path):
    emitted.board_or_skip("mps2-an505")
    codegen.emit(convolution(), tmp_path / "one", made_for, name="one")
    parent(tmp_path, ("one",))
    (tmp_path / "CMakeLists.txt").write_text(
        (tmp_path / "CMakeLists.txt").read_text() + "target_link_options(app PRIVATE --specs=nosys.specs)\n"
    )
    (tmp_path / "theirs.cmake").write_text(TOOLCHAIN)
    said = cmake(tmp_path, "-DCMAKE_TOOLCHAIN_FILE=theirs.cmake")
    assert "-mcpu=cortex-m33" in said
    assert not any(flag in said for flag in ("-mcpu=cortex-m7", "-mcpu=cortex-m4", "-Werror", "self_test"))


def test_a_tool_chain_file_goes_before_ours(tmp_path):
    """The whole project, with the compiler by its path and a flag that we never give."""
    board = emitted.board_or_skip("mps2-an386")
    codegen.emit(convolution(), tmp_path, board.name)
    (tmp_path / "theirs.cmake").write_text(
        f"set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_C_COMPILER {shutil.which(board.compiler)})\n"
        "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\nset(CMAKE_C_FLAGS_INIT -fno-common)\n"
    )
    said = cmake(tmp_path, "-DCMAKE_TOOLCHAIN_FILE=theirs.cmake")
    assert f"{shutil.which(board.compiler)} " in said
    assert "-fno-common" in said
    assert emitted.outcome(board, tmp_path / "build/self_test.elf").status == 0


def test_a_compiler_that_is_named_goes_before_ours(tmp_path):
    board = emitted.board_or_skip("mps2-an386")
    codegen.emit(convolution(), tmp_path, board.name)
    cmake(tmp_path, f"-DCMAKE_C_COMPILER={shutil.which(board.compiler)}")
    assert emitted.outcome(board, tmp_path / "build/self_test.elf").status == 0


@pytest.mark.parametrize("board", ["host", "esp32-c3"])
def test_the_folder_is_a_component_of_esp_idf(board, tmp_path):
    codegen.emit(convolution(), tmp_path / "component", board, name="one")
    (tmp_path / "scan.cmake").write_text(IDF_SCRIPT)
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    done = subprocess.run(["cmake", "-P", "scan.cmake"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "REGISTERED SRCS;one.c;one_params.c;INCLUDE_DIRS;." in done.stderr
    (tmp_path / "CMakeLists.txt").write_text(IDF_PROJECT)
    (tmp_path / "main.c").write_text(main_text(["one"]))
    cmake(tmp_path)
    assert subprocess.run([tmp_path / "build/app"], check=False).returncode == 0
