"""Ahead-of-time objects: the bytes of the JIT, without Numba in the process, and never one made from other sources."""

import pickle
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import edgebn
from edgebn.kernels import aot, builtin_function, executor, features, isa, native
from tests import prebuilt
from tests.conftest import TEST_ALL
from tests.programs import KINDS, PURE, inputs_for, programs, single
from tests.pythons import python

NETWORKS = 15  # whole random networks a data type, beside a few programs of every kind of step
SINGLES = 3

pytestmark = [
    pytest.mark.skipif(platform.system() != "Linux", reason="objects are for Linux"),
    pytest.mark.skipif(not (shutil.which("cc") or shutil.which("ld.lld")), reason="no linker: install a C compiler or ld.lld"),
]

DEMO = Path(edgebn.__file__).parent / "demo_data"

# Runs pickled programs, prints a hash of each one's values, then whether a compiler came along.
RUN = """
import hashlib, pathlib, pickle, sys
from edgebn.session import Session
for label, program, x in pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()):
    values = sorted(Session(program).run_buffers(x).items())
    print(label, hashlib.sha256(b"".join(name.encode() + value.tobytes() for name, value in values)).hexdigest())
print("compiler" if "numba" in sys.modules or "llvmlite" in sys.modules else "no compiler")
"""


def drawn(strategy, count):
    """The same examples each time; drawn here, not where they run: what hypothesis draws depends on the modules that are loaded."""
    examples = []

    @settings(max_examples=count, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(program):
        examples.append((program, inputs_for(program, 2)))

    collect()
    return examples


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    found = []
    for dtype, kinds in KINDS.items():
        if dtype in PURE:
            found += [(f"{dtype} network", *example) for example in drawn(programs(dtype), NETWORKS)]
        found += [(f"{dtype} {kind}", *example) for kind in kinds for example in drawn(single(kind, dtype), SINGLES)]
    path = tmp_path_factory.mktemp("cases") / "cases.pickle"
    path.write_bytes(pickle.dumps(found))
    return path


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """A folder with the selected set's object alone: the one that `make test` built of these sources, or a new one."""
    folder = tmp_path_factory.mktemp("objects")
    if prebuilt.is_built(isa.SELECTED.name) and not TEST_ALL:
        shutil.copy(aot.OBJECTS / native.file_name(isa.SELECTED.name, features.machine(), platform.system()), folder)
        return folder
    python("-m", "edgebn.kernels.aot", "--isa", isa.SELECTED.name, "--output", str(folder))
    return folder


@pytest.fixture(scope="module")
def lines(cases, objects, tmp_path_factory):
    """What `RUN` prints with an object, with a JIT that (in the long run) has to compile, and with what it kept."""
    found = {"object": python("-c", RUN, str(cases), EDGEBN_OBJECTS=str(objects))}
    place = {"NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))} if TEST_ALL else {}
    for name in ("cold", "warm") if TEST_ALL else ("warm",):
        found[name] = python("-c", RUN, str(cases), EDGEBN_OBJECTS="", **place)
    return found


@pytest.mark.parametrize("how", ["cold", "warm"] if TEST_ALL else ["warm"])
def test_an_object_has_the_bytes_of_the_jit(lines, how):
    assert len(lines["object"]) > 60
    assert lines["object"][:-1] == lines[how][:-1]


def test_an_object_needs_no_compiler_in_the_process(lines):
    assert {way: said[-1] for way, said in lines.items()} == dict.fromkeys(lines, "compiler") | {"object": "no compiler"}


def test_the_usual_call_of_an_object_is_pythons_own(objects):
    ask = "from edgebn.kernels import executor; print(type(executor.fast_call('int8', 0)).__name__)"
    kind = "builtin_function_or_method" if object.__basicsize__ == builtin_function.DATA_AT else "function"
    assert python("-c", ask, EDGEBN_OBJECTS=str(objects)) == [kind]


def test_the_fast_call_is_the_same_where_kernels_are_had_the_other_way(objects):
    """Everything said of it holds on the JIT and on an object, where its machine code is a function of Python."""
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kernels/test_fast_call.py")
    assert " passed" in python(*command, EDGEBN_OBJECTS=str(objects) if native.load() is None else "")[-1]


# What the first inference of an int8 network from its own file has no use for: each takes a tenth of a millisecond and more.
NOT_AT_A_START = {
    "argparse", "copy", "dataclasses", "heapq", "json", "logging", "mmap", "queue", "subprocess", "tempfile",
    "threading", "edgebn.adaptation", "edgebn.formats.adaptation_check", "edgebn.formats.whole_file", "edgebn.graph",
    "edgebn.layers",
    "edgebn.passes", "edgebn.preparation", "edgebn.reference", "edgebn.session.arithmetic", "edgebn.session.dense",
    "edgebn.session.integers", "edgebn.session.learning",
    "edgebn.session.pace", "edgebn.session.phases", "edgebn.session.refolding", "edgebn.session.shares", "edgebn.session.splitting",
    "edgebn.session.strips", "edgebn.session.sums", "edgebn.session.wide", "edgebn.session.winograd", "edgebn.session.workers",
    "edgebn.kernels.add_int8_proof", "edgebn.kernels.product_shapes",
}  # fmt: skip


def test_a_start_imports_only_what_its_program_needs(objects, tmp_path):
    images = np.load(DEMO / "fashion_mnist_slice.npz")["calibration"][:20] / np.float32(255)
    program = edgebn.quantize(edgebn.load(DEMO / "fashion_mnist.keras"), images)
    edgebn.save(program, tmp_path / "network.edgebn")
    script = """
import sys
import numpy as np
before = set(sys.modules)
import edgebn
program = edgebn.load(sys.argv[1])
edgebn.Session(program).run(np.zeros((1, *program.shapes[program.inputs[0]]), program.dtype))
print(*sorted(set(sys.modules) - before))
"""
    (line,) = python("-c", script, str(tmp_path / "network.edgebn"), EDGEBN_OBJECTS=str(objects))
    imported = set(line.split())
    assert "edgebn.kernels.native" in imported
    # By its second convolution, and by its first dense layer.
    kernels = {"winograd_input_i8": "edgebn.session.winograd", "dense_i8": "edgebn.session.dense"}
    assert imported & NOT_AT_A_START == {module for kernel, module in kernels.items() if kernel in executor.operations()}
    assert {*sys.stdlib_module_names, *(f"edgebn.{path}" for path in modules())} >= NOT_AT_A_START


def modules():
    """Give the name within the package of every module of ours."""
    for path in Path(edgebn.__file__).parent.rglob("*.py"):
        yield ".".join(path.relative_to(Path(edgebn.__file__).parent).with_suffix("").parts).removesuffix(".__init__")


def test_the_search_for_cycles_is_on_after_a_start_and_off_where_it_was(objects):
    script = """
import gc
import edgebn, edgebn.cli.warmup
for enable in (gc.enable, gc.disable):
    enable()
    edgebn.Session(edgebn.cli.warmup.smallest_program("int8"))
    print(gc.isenabled())
"""
    assert python("-c", script, EDGEBN_OBJECTS=str(objects)) == ["True", "False"]


def test_an_object_of_other_sources_is_not_found(objects, tmp_path):
    (built,) = objects.iterdir()
    shutil.copy(built, tmp_path / built.name.replace(built.stem.rpartition("-")[2], "0" * 16))
    ask = "from edgebn.kernels import native; print(native.load() is not None)"
    assert python("-c", ask, EDGEBN_OBJECTS=str(tmp_path)) == ["False"]
    assert python("-c", ask, EDGEBN_OBJECTS=str(objects)) == ["True"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],  # loading it would end the process with a bus error
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
        lambda data: bytes(range(256)) * (len(data) // 256),
        lambda _: Path(np.random.mtrand.__file__).read_bytes(),  # a library of something else
    ],
    ids=["empty", "half", "cut", "one bit", "garbage", "foreign"],
)
def test_a_damaged_object_is_told_and_left(damage, objects, tmp_path):
    (built,) = objects.iterdir()
    (tmp_path / built.name).write_bytes(damage(built.read_bytes()))
    script = """
import warnings
from edgebn.kernels import native
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    print(native.load() is None, *(str(one.message) for one in told))
"""
    (line,) = python("-c", script, EDGEBN_OBJECTS=str(tmp_path))
    assert line.startswith(f"True {tmp_path / built.name} is damaged")
    assert "install edgebn again" in line


def test_neither_an_object_nor_a_compiler_is_one_clear_error():
    """What an installation without Numba says where no object fits."""
    script = """
import sys
sys.modules["numba"] = None  # importing it fails
import edgebn, edgebn.cli.warmup
try:
    edgebn.Session(edgebn.cli.warmup.smallest_program("int8"))
except edgebn.EdgebnError as error:
    print(error)
"""
    (line,) = python("-c", script, EDGEBN_OBJECTS="")
    assert isa.SELECTED.name in line
    assert "pip install numba" in line


def test_building_several_sets_says_what_is_ready(monkeypatch, capsys, tmp_path):
    def run(command, *, check):
        assert not check
        return subprocess.CompletedProcess(command, int(command[-1] == "avx2"))

    monkeypatch.setattr(aot.subprocess, "run", run)
    monkeypatch.setattr(aot, "TERMINAL", tmp_path / "terminal")
    assert aot.main(["--machine", "x86_64", "--isa", "avx2", "--isa", "avx512"]) == 1
    said = capsys.readouterr().out
    assert "for 2 instruction sets" in said
    assert "avx2 failed" in said
    assert "avx512 is ready" in said
    assert "(2 of 2)" in (tmp_path / "terminal").read_text(encoding="utf-8")
