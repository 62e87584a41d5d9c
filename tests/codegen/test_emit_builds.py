"""Emitted projects built on this computer as people build them: with make, with CMake and a bare `cc *.c`, by GCC and by Clang.

Ten networks, each as float32 and as int8, must pass their self-tests; `make test` takes two of them, the long run all ten.
"""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import codegen
import edgebn
from boards import toolchain
from codegen.mains import KINDS
from tests import emitted
from tests.conftest import TEST_ALL

ZOO = Path(__file__).parents[1] / "recorded" / "keras_zoo"
NETWORKS = (
    "ds_cnn",
    "residual",
    "inverted_residual",
    "squeeze_excite",
    "concatenation",
    "conv1d",
    "transposed",
    "pooling_2d",
    "upsampling",
    "batchnorm_everywhere",
)
COMPILERS = ("gcc", "clang")
WAYS = {
    "make": ("make -s CC={compiler}", "build/self_test.elf"),
    "cmake": ("cmake -B build -DCMAKE_C_COMPILER={compiler} && cmake --build build", "build/self_test.elf"),
    "bare": ("{compiler} -O2 *.c", "a.out"),
}
STRICT = "-std=c99 -O1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
SECONDS = 300
QUOTED = """DEFINES="'-DQUOTED=\\"two words\\"'\""""


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (`make firmware-tools` installs it)")


def run(command, folder):
    done = subprocess.run(command, cwd=folder, shell=True, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-3000:]}"
    return done


@cache
def network(name, dtype):
    pytest.importorskip("h5py", reason="h5py is not installed: the networks are Keras files")
    program = edgebn.load(ZOO / f"{name}.keras")
    if dtype == "float32":
        return program
    rng = np.random.default_rng(5)
    images = {one: rng.standard_normal((30, *program.shapes[one])).astype(np.float32) for one in program.inputs}
    return edgebn.quantize(program, images if len(images) > 1 else images[program.inputs[0]])


@cache
def adapting():
    program = network("ds_cnn", "int8")
    images = np.random.default_rng(6).standard_normal((50, *program.shapes[program.inputs[0]])).astype(np.float32)
    return edgebn.adaptable(program, images)


def built(folder, compiler, way):
    """Build in one way and return what the self-test wrote; warnings are none."""
    command, program = WAYS[way]
    assert "warning" not in run(command.format(compiler=compiler), folder).stderr
    said = run(f"./{program}", folder).stdout
    for left in (folder / "build", folder / "a.out"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return said


@pytest.mark.parametrize(
    ("name", "dtype", "compiler"),
    [
        pytest.param(name, dtype, compiler, id=f"{name}-{dtype}-{compiler}")
        for number, name in enumerate(NETWORKS if TEST_ALL else NETWORKS[:2])
        for of_type, dtype in enumerate(("float32", "int8"))
        for compiler in (COMPILERS if TEST_ALL else (COMPILERS[(number + of_type) % 2],))
    ],
)
def test_every_way_of_building_passes_the_self_test(name, dtype, compiler, tmp_path):
    need(compiler, "make", "cmake")
    project = codegen.emit(network(name, dtype), tmp_path / "out")
    for way in WAYS:
        assert f"{project.name}: 2 vectors, 0 differ, " in built(project.folder, compiler, way)


@pytest.mark.parametrize(
    ("main", "adapt", "compiler"),
    [
        pytest.param(main, adapt, compiler, id=f"{main}-{'adapting' if adapt else ''}-{compiler}")
        for number, main in enumerate(KINDS)
        for adapt in (False, True)
        for compiler in (COMPILERS if TEST_ALL else (COMPILERS[(number + adapt) % 2],))
    ],
)
def test_every_program_is_built_by_a_bare_compiler(main, adapt, compiler, tmp_path):
    """As strictly as the build files are, and beside those who name the folders themselves.

    Compilers take turns in the quick run, so that both see a network that adapts and one that does not.
    """
    need(compiler)
    program = adapting() if adapt else network("ds_cnn", "int8")
    project = codegen.emit(program, tmp_path / "out", main=main, adapt=adapt)
    folders = [folder for folder in ("kernels", "board", "service") if (project.folder / folder).is_dir()]
    below = [file for file in project.files if file.endswith(".c") and "/" in file]
    run(f"{compiler} {STRICT} *.c", project.folder)
    run(f"{compiler} {STRICT} {' '.join(f'-I{folder}' for folder in folders)} *.c {' '.join(below)}", project.folder)


@pytest.mark.parametrize("board", ["mps2-an386", "rpi-pico", "esp32-c3"])
def test_files_for_other_boards_compile_bare_too(board, tmp_path):
    """Those at the top, that is, which this computer's compiler can take."""
    need("clang")
    project = codegen.emit(network("residual", "int8"), tmp_path / "out", board)
    assert not (project.folder / "folders.c").exists()
    run(f"clang {STRICT} -c *.c", project.folder)


# ---- Clang for Arm ----


NEWLIB = Path("/usr/lib/arm-none-eabi/include")
ARM = {
    "mps2-an385-m0": "-mcpu=cortex-m0 -mfloat-abi=soft",
    "mps2-an386": "-mcpu=cortex-m4 -mfloat-abi=hard",
    "mps3-an547": "-mcpu=cortex-m55 -mfloat-abi=hard",
}
MORE_ARM = {"m23": "-mcpu=cortex-m23 -mfloat-abi=soft", "m33": "-mcpu=cortex-m33 -mfloat-abi=hard"}


def clang_for_arm(flags):
    need("clang")
    if not NEWLIB.is_dir():
        pytest.skip("newlib's headers are not installed (`make firmware-tools` installs them)")
    return f"clang --target=arm-none-eabi -mthumb {flags} -isystem {NEWLIB} -ffp-contract=off {STRICT}"


@pytest.mark.parametrize("core", [*ARM, *MORE_ARM])
@pytest.mark.parametrize("name", NETWORKS if TEST_ALL else ("ds_cnn", "batchnorm_everywhere"))
def test_clang_compiles_networks_for_arm(name, core, tmp_path):
    """Levels take turns in the quick run, so that every core and network sees both."""
    command, levels = clang_for_arm((ARM | MORE_ARM)[core]), ("-Os", "-O2")
    for of_type, dtype in enumerate(("float32", "int8")):
        project = codegen.emit(network(name, dtype), tmp_path / dtype, "mps2-an386", name="net")
        turn = ([*ARM, *MORE_ARM].index(core) + NETWORKS.index(name) + of_type) % 2
        for level in levels if TEST_ALL else levels[turn:][:1]:
            run(f"{command} {level} -c net.c self_test.c", project.folder)


@pytest.mark.parametrize("core", ARM)
def test_clang_compiles_adaptation_for_arm(core, tmp_path):
    program = adapting()
    project = codegen.emit(program, tmp_path, "mps2-an386", main="link", adapt=True)
    run(f"{clang_for_arm(ARM[core])} -c {project.name}.c link.c kernels/*.c service/*.c", project.folder)


@pytest.mark.parametrize("board", ARM)
def test_what_clang_makes_for_a_core_gives_the_references_bytes(board, tmp_path):
    """Clang compiles the network; GCC, which has a library for the core, the rest."""
    target = emitted.board_or_skip(board)
    command = clang_for_arm(ARM[board])
    project = codegen.emit(network("ds_cnn", "int8"), tmp_path, board, name="net")
    run(f"{command} -c net.c -o net.o", tmp_path)
    sources = [tmp_path / file for file in ("net.o", "net_params.c", "net_vectors.c", "self_test.c")]
    said = emitted.outcome(target, toolchain.build(target, sources, project.folder / "build"))
    assert (said.status, said.differ, said.vectors) == (0, 0, 2)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("main", KINDS)
def test_every_program_links_when_it_is_traced(main, dtype, tmp_path):
    need("gcc", "make")
    codegen.emit(network("ds_cnn", dtype), tmp_path, main=main)
    run("make -s DEFINES=-DEDGEBN_TRACE", tmp_path)


def test_make_makes_again_what_other_settings_change(tmp_path):
    need("make", "nm")
    codegen.emit(network("ds_cnn", "int8"), tmp_path)
    program = tmp_path / "build/self_test.elf"
    made = {}
    for settings in ("", "DEFINES=-DEDGEBN_TRACE", "OPTIMIZATION=-Os", "CC='cc -std=gnu99'", QUOTED, ""):
        run(f"make {settings}", tmp_path)
        made.setdefault(settings, program.read_bytes())
        assert made[settings] == program.read_bytes()
        assert ("edgebn_trace" in run("nm build/self_test.elf", tmp_path).stdout) == ("TRACE" in settings)
        before = program.stat().st_mtime_ns
        run(f"make {settings}", tmp_path)
        assert program.stat().st_mtime_ns == before, "nothing has changed"
    assert made["OPTIMIZATION=-Os"] != made[""]


def test_a_failing_self_test_is_seen(tmp_path):
    """The harness itself."""
    need("gcc")
    project = codegen.emit(network("residual", "int8"), tmp_path / "out", name="net")
    vectors = project.folder / "net_vectors.c"
    head, _, tail = vectors.read_text().partition("net_output_vectors[")
    vectors.write_text(head + "net_output_vectors[" + tail.replace("{\n    ", "{\n    1 + ", 1))
    with pytest.raises(AssertionError, match=r"[12] differ"):
        built(project.folder, "gcc", "bare")
