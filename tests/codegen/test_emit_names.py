"""Names of models, layers and values in emitted C: whatever they are, the project builds, or the name is refused with a way out.

What is taken is read from the projects themselves, so that a new file or function is part of the test when it is there.
"""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
import pytest

import boards
import codegen
import edgebn
from codegen.kernels import LIBRARY
from edgebn import layers as nn
from edgebn.cli.main import main
from edgebn.errors import ModelError, UsageError
from edgebn.graph import GraphBuilder
from edgebn.passes import lower
from tests import emitted
from tests.codegen.test_codegen_kernels import compiler
from tests.demo_model import DATA

MAINS = ("self-test", "link", "mlperf")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
SIGNIFICANT = 31
KEYWORDS = ["int", "for", "inline", "restrict", "nullptr", "constexpr", "linux"]
LIBRARY_NAMES = ["main", "printf", "memcpy", "sqrt", "errno", "mtx", "atomic", "sem", "pthread_mutex", "time", "signal", "index"]
HEADERS = ["stdint", "string", "stddef", "math", "stdio", "threads", "stdbit", "features", "arm_mve"]
BUILD_WORDS = ["all", "clean", "test", "help", "install", "package", "debug", "optimized", "general", "aux", "con", "com1", "build"]
ODD = ["größe", "模型", "9lives", "_private", "__x", "a b", "Loud", "", "x-y", "x" * 32, "x" * 200, "cmake", "makefile", "m", "c"]
LONG = "efficientnet/stage_4/block_12/squeeze_and_excite_expansion_convolution"
FOLDERS = ["kernels", "service", "readme", "edgebn", "edgebn_common", "edgebn_trace", "edgebn_own"]


def convolution(name="dense", values=("x", "y"), source="net.file", size=4):
    """Return a small int8 network, its layer and its values called as given."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder("net", source, "keras", False)
    x = builder.add_input(values[0], (size, size, 2))
    weight = rng.standard_normal((3, 3, 3, 2)).astype(np.float32)
    graph = builder.finish([builder.add(nn.Convolution(name, (x,), values[1], weight, padding=(1, 1, 1, 1)))])
    return edgebn.quantize(lower(graph), rng.standard_normal((20, size, size, 2)).astype(np.float32))


@pytest.fixture(scope="module")
def network():
    return convolution()


def assert_compiles(folder, board="host"):
    """Compile every C file of a project by itself, its folders searched as a project around it would, and link nothing."""
    sources = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.c"))
    board = boards.load(board)
    command = [board.compiler, *WARNINGS, *board.flags, *(f"-I{part}" for part in (".", "kernels", "board", "service"))]
    done = subprocess.run([*command, "-fsyntax-only", *sources], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


def refusal(network, name, folder, **options):
    """Emit a project; return why the name is refused, or None."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        codegen.emit(network, folder, name=name, **options)
    except UsageError as error:
        return str(error)
    return None


def built_or_refused(network, name, folder, **options):
    """Return whether a name is refused, after seeing that the refusal's example is taken, or else that the project compiles."""
    why = refusal(network, name, folder, **options)
    if why is None:
        assert_compiles(folder)
        return False
    assert not folder.exists()
    found = re.fullmatch(r"(.*) cannot be the name of the model: .* with name=, for example (\w+)", why)
    assert found
    shown = repr(name) if len(name) <= 120 else f"'{name[:61]}...{name[-19:]}'"  # as errors quote long names
    assert found[1] == shown
    assert refusal(network, found[2], folder, **options) is None
    return True


@pytest.mark.parametrize("main_kind", MAINS)
def test_every_name_builds_or_is_refused(main_kind, network, tmp_path):
    compiler("cc")
    hostile = {*KEYWORDS, *LIBRARY_NAMES, *HEADERS, *BUILD_WORDS, *ODD, *FOLDERS}
    if main_kind != "self-test":  # the rest does not depend on it
        hostile = set(FOLDERS)
    refused = {name for name in sorted(hostile) if built_or_refused(network, name, tmp_path / "out", main=main_kind)}
    assert {name for name in refused if name.startswith("edgebn")} == {"edgebn", "edgebn_common", "edgebn_trace", "edgebn_own"}
    if main_kind == "self-test":
        assert {"int", "main", "stdint", "time", "all", "con", "größe", "_private", "x" * 32, ""} <= refused
        assert not {"printf", "index", "m", "cmake", "kernels", "readme"} & refused


@pytest.mark.parametrize("board", ["host", "mps2-an386", "qemu-riscv32-virt", "rpi-pico"])
@pytest.mark.parametrize("main_kind", MAINS)
def test_names_of_a_projects_own_files_are_refused(main_kind, board, network, tmp_path):
    options = {"board": board, "main": main_kind}
    project = codegen.emit(network, tmp_path / "first", name="net", **options)
    stems = {PurePosixPath(file).stem.lower() for file in project.files if file.endswith((".c", ".h")) and "net" not in file}
    assert {"board", "board_config", main_kind.replace("-", "_"), "uart_host" if board == "host" else "exit_halt"} - stems <= {
        "exit_halt"
    }
    for stem in sorted(stems):
        with pytest.raises(UsageError, match=r"for example \w+$") as refused:
            codegen.emit(network, tmp_path / "out", name=stem, **options)
        assert "file" in str(refused.value) or stem.startswith("edgebn_")
    assert not (tmp_path / "out").exists()


def test_names_whose_functions_a_project_has_are_refused_and_others_build(network, tmp_path):
    """Every word before a function of ours that the fixed code has: board_uart_init belongs to the board."""
    compiler("cc")
    project = codegen.emit(network, tmp_path / "first", name="net", main="link")
    ours = re.findall(r"\bnet_(\w+)\(", (project.folder / "net.h").read_text())
    texts = [(project.folder / file).read_text() for file in project.files if file.endswith((".c", ".h")) and "net" not in file]
    words = {word for text in texts for word in re.findall(r"\b[a-z]\w*", text)}
    heads = {word.removesuffix(f"_{tail}") for word in words for tail in ours if word.endswith(f"_{tail}")} - {"net"}
    assert {"board_uart", "board_ticks", "board_clocks"} <= heads
    refused = {head for head in sorted(heads) if built_or_refused(network, head, tmp_path / "out", main="link")}
    assert {"board_uart", "board_ticks", "board_clocks"} <= refused


@pytest.mark.parametrize("stem", ["board", "self_test", "stdint", "int", "main", "9lives", "größe", "模型", "Board", "con", LONG])
def test_a_model_file_of_any_name_builds(stem, tmp_path):
    compiler("cc")
    project = codegen.emit(convolution(source=f"some/folder/{stem}.keras"), tmp_path / "out")
    assert_compiles(project.folder)
    assert len(project.name) <= SIGNIFICANT - 12
    assert project.name not in ("board", "self_test", "stdint", "int", "main", "con")
    subprocess.run(["make", "-s", "-C", str(project.folder)], check=True, capture_output=True)


def test_the_command_refuses_with_code_2_and_builds_without_a_name(tmp_path, capsys):
    model = tmp_path / "board.keras"
    shutil.copy(DATA / "fashion_mnist.keras", model)
    assert main(["generate", str(model), "-o", str(tmp_path / "a"), "--name", "board"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("edgebn: 'board' cannot be the name of the model: the project has a file board/board.h; ")
    assert said.endswith("with --name, for example board_net\n")
    assert said.count("\n") == 1
    assert main(["generate", str(model), "-o", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "board_net.c").exists()


@pytest.mark.parametrize("words", ["all", "test", "debug", "install", "self_test", "link"])
def test_cmake_takes_every_name_that_is_not_refused(words, network, tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    if refusal(network, words, tmp_path / "out") is not None:
        return
    for command in (["cmake", "-B", "build", "."], ["cmake", "--build", "build"]):
        subprocess.run(command, cwd=tmp_path / "out", check=True, capture_output=True)


# ---- layers and values ----


def nm(folder):
    """Return the names that a linker sees in the objects of a project, as its Makefile compiles them."""
    subprocess.run(["make", "-s", "-C", str(folder)], check=True, capture_output=True)
    objects = [str(path) for path in (folder / "build").rglob("*.o")]
    listed = subprocess.run(["nm", "-g", "--defined-only", *objects], capture_output=True, text=True, check=True).stdout
    return {line.split()[2] for line in listed.splitlines() if len(line.split()) == 3}


LAYERS = [
    ["int", "INT", "Int", "int_", "int_2"],
    ["memcpy", "main", "edgebn_conv_s8", "acme_gemm_simple_s8", "acme_min"],
    ["net_arena", "net_run", "net_init", "net_input", "net"],
    ["input_a", "output", "input", "output_a_scale", "output_a"],
    ["größe", "模型", "9", "", "/"],
    [f"{LONG}_{letter}" for letter in "abcde"],
    ["c", "c_scale", "c_weights", "c_scale_weights", "weights"],
    ["memory", "x*/y", 'quote"', "back\\slash", "new\nline"],
    ["state", "adapt", "state_get", "vectors", "checksums"],
]


def several(names, inputs, outputs):
    """Return a float32 graph of two inputs and two outputs whose layers and values have the names."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder("net", "net.file", "keras", False)
    x, y = (builder.add_input(name, (6, 6, 3)) for name in inputs)
    weights = [rng.standard_normal((3, 3, 3, 3)).astype(np.float32) for _ in range(3)]

    def conv(index, given, made):
        layer = nn.Convolution(names[index], (given,), made, weights[index % 3], padding=(1, 1, 1, 1))
        return builder.add(layer)

    a, b = conv(0, x, names[0]), conv(1, y, names[1])
    c = builder.add(nn.Concat(names[2], (a, b), names[2], axis=2))
    d = builder.add(nn.Resize(names[3], (c,), outputs[0], "bilinear", (12, 12), (0.5, 0.5), "half_pixel"))
    e = conv(4, b, outputs[1])
    return builder.finish([d, e])


@pytest.mark.parametrize("prefix", ["edgebn", "acme"])
@pytest.mark.parametrize("names", LAYERS, ids=lambda names: names[0][:12])
def test_layers_of_any_names_build_and_are_told_apart(names, prefix, tmp_path):
    compiler("cc")
    rng = np.random.default_rng(2)
    ends = [f"serving_default_{LONG}_input_{i}:0" for i in (1, 2)] if names[0].startswith("eff") else ["a", "b"]
    program = lower(several(names, ends, [f"{end}_out" for end in ends]))
    images = {end: rng.standard_normal((10, 6, 6, 3)).astype(np.float32) for end in ends}
    for made, name in ((program, "net"), (edgebn.quantize(program, images), "a_rather_long_name")):
        folder = tmp_path / name
        codegen.emit(made, folder, name=name, prefix=prefix)
        found = nm(folder)
        assert any(word.startswith(f"{name}_") for word in found)
        assert len({word[:SIGNIFICANT] for word in found}) == len(found)
        assert emitted.outcome(boards.load("host"), folder / "build" / "self_test.elf").status == 0
        codegen.emit(made, tmp_path / f"{name}_parameters", name=name, prefix=prefix, params_only=True)


@pytest.mark.parametrize("layout", ["edgebn", "cmsis-nn", "tflm"])
def test_parameters_are_told_apart(layout, tmp_path):
    compiler("cc")
    program = convolution(LONG, (f"{LONG}_in", f"{LONG}_out"))
    steps = tuple(replace(program.steps[0], name=f"{LONG}_{i}") for i in range(12))
    project = codegen.emit(replace(program, steps=steps), tmp_path, name="a_rather_long_name", params_only=True, layout=layout)
    names = re.findall(r"^extern .*?(\w+)\[", (project.folder / f"{project.name}_params.h").read_text(), re.MULTILINE)
    assert len(names) >= 48
    assert len({name[:SIGNIFICANT] for name in names}) == len(names)


def test_an_input_called_as_another_ones_parameter(tmp_path):
    """Inputs become input_a and input_b; a value of the network may be called so too."""
    compiler("cc")
    program = lower(several(["one", "input_a", "input_b", "output_x", "two"], ["a", "b"], ["x", "input_a_2"]))
    project = codegen.emit(program, tmp_path / "out", name="net")
    assert_compiles(project.folder)


@pytest.mark.parametrize(
    ("prefix", "why"),
    [("int", "C has that word"), ("größe", "letters are"), ("x" * 40, "begin with the same 31"), ("Acme", "letters are")],
)
def test_prefixes_that_c_cannot_take_are_refused(prefix, why, tmp_path):
    with pytest.raises(UsageError, match=f"{why}.*prefix=, for example acme$"):
        codegen.emit(convolution(), tmp_path / "out", prefix=prefix, main="link")


def test_a_name_is_not_the_prefix(tmp_path):
    for name in ("acme", "acme_net"):
        with pytest.raises(UsageError, match="the kernels' names begin so"):
            codegen.emit(convolution(), tmp_path / "out", name=name, prefix="acme")


def test_the_kernels_words_all_begin_with_the_prefix():
    """What the library defines at file scope: a name without the prefix could meet one of a model's or of a board's."""
    found = set()
    for path in LIBRARY.glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        found |= set(re.findall(r"^(?:EDGEBN_\w+ |static |extern )[\w \*]*?\b(\w+)\(", text, re.MULTILINE))
        found |= set(re.findall(r"^#define (\w+)", text, re.MULTILINE))
    assert len(found) > 100
    assert not {name for name in found if not name.lower().startswith("edgebn_")}


def test_refusals_are_model_errors_for_those_who_catch_these():
    assert issubclass(UsageError, ModelError)
