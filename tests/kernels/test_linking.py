"""Objects for macOS and Windows: what they offer, what they ask for, and that nothing else can be asked for. None is run here."""

import platform
import shutil

import pytest

from edgebn.kernels import features, linking, native
from tests.conftest import TEST_ALL
from tests.kernels.foreign_libraries import read_macho, read_pe
from tests.pythons import python

READERS = {"arm64": read_macho, "AMD64": read_pe}
PROCESSORS = {"arm64": 0x0100000C, "AMD64": 0x8664}
EXPORTS = {
    "arm64": {f"_{name}" for name in linking.EXPORTS},
    "AMD64": set(linking.EXPORTS),
}

pytestmark = [
    pytest.mark.skipif(platform.system() != "Linux", reason="links for other systems from Linux"),
    pytest.mark.skipif(not shutil.which("lld"), reason="no linker for other systems: apt install lld"),
]

# For each machine: functions that do nothing under the names of the real ones, one of which calls what it may, or what it may not.
LINK = """
import sys
from pathlib import Path
from edgebn.kernels import isa
isa.select_for_building("plain", "none")
from llvmlite import ir
import llvmlite.binding as llvm
from edgebn.kernels import aot_compiler, linking, native

def caller(compiler, asked):
    module, number = compiler._module(), ir.DoubleType()
    function = ir.Function(module, ir.FunctionType(number, [number]), native.ENTRY)
    builder = ir.IRBuilder(function.append_basic_block())
    builder.call(ir.Function(module, ir.FunctionType(ir.VoidType(), []), asked), [])
    builder.ret(builder.fadd(function.args[0], function.args[0]))
    return compiler._codegen._tm.emit_object(llvm.parse_assembly(str(module)))

for machine in sys.argv[2:]:
    compiler = aot_compiler.Compiler(isa.SELECTED, machine)
    for asked in ("memset", "getpid"):
        folder = Path(sys.argv[1]) / machine / asked
        folder.mkdir(parents=True)
        parts = []
        for data in (caller(compiler, asked), compiler.stubs([native.FAST_CALL]), compiler.text(native.MANIFEST, "[]")):
            parts.append(folder / f"{len(parts)}.o")
            parts[-1].write_bytes(data)
        try:
            linking.link(machine, compiler, parts, folder / "linked.so")
        except linking.BuildError as error:
            print(machine, asked, str(error).splitlines()[0])
"""


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linked")
    return folder, python("-c", LINK, str(folder), *READERS)


def check(machine, data):
    found = READERS[machine](data)
    assert found.processor == PROCESSORS[machine]
    assert found.exports == EXPORTS[machine]
    assert found.is_signed == (machine == "arm64")  # Apple's processors load nothing without
    allowed = linking.libraries_of(machine)
    for library, functions in found.imports.items():
        assert functions <= set(allowed[library]), library
    return found.imports


@pytest.mark.parametrize("machine", READERS)
def test_a_library_of_another_system_is_linked(machine, linked):
    folder, _ = linked
    data = (folder / machine / "memset" / "linked.so").read_bytes()
    (asked,) = check(machine, data).values()
    assert asked >= {"_memset" if machine == "arm64" else "memset"}
    assert check(machine, native.sealed(data))  # the seal stands where no loader looks
    assert b"[]" in data


def test_a_kernel_that_asks_for_more_is_refused(linked):
    folder, refused = linked
    assert [line.split()[:4] for line in refused] == [[machine, "getpid", "lld", "failed:"] for machine in READERS]
    for machine in READERS:
        assert not (folder / machine / "getpid" / "linked.so").exists()


@pytest.mark.skipif(not TEST_ALL, reason="builds whole objects: make test-all")
@pytest.mark.parametrize(("machine", "name"), [("arm64", "neondot"), ("AMD64", "avx512vnni"), ("AMD64", "plain")])
def test_objects_for_other_systems(machine, name, tmp_path):
    python("-m", "edgebn.kernels.aot", "--machine", machine, "--isa", name, "--output", str(tmp_path))
    (built,) = tmp_path.iterdir()
    system = {"arm64": "Darwin", "AMD64": "Windows"}[machine]
    assert built.name == native.file_name(name, machine, system)
    assert native.is_whole(built)
    asked = set().union(*check(machine, built.read_bytes()).values())
    assert ("_usleep" in asked) == (machine == "arm64")  # which Windows has not


def test_a_missing_linker_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(linking.shutil, "which", lambda name: None)
    for machine in READERS:
        with pytest.raises(linking.BuildError, match=f"no linker for {machine} objects on {features.machine()}: install lld"):
            linking.link(machine, None, [], tmp_path / "linked.so")
