"""Ahead-of-time objects for other processors: built anywhere, and for which processor a Python is."""

import platform
import shutil
import subprocess
import sys

import pytest

from edgebn.kernels import features, isa
from tests.conftest import TEST_ALL
from tests.pythons import ROOT, python

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="objects are for Linux")


@pytest.mark.skipif(not shutil.which("ld.lld"), reason="no linker for other processors: apt install lld")
@pytest.mark.parametrize(
    ("machine", "name", "bits", "kind"),
    [
        ("aarch64", "neondot", 64, 183),
        pytest.param("armv7l", "neon32", 32, 40, marks=pytest.mark.skipif(not TEST_ALL, reason="another build: make test-all")),
        pytest.param("armv6l", "plain", 32, 40, marks=pytest.mark.skipif(not TEST_ALL, reason="another build: make test-all")),
        pytest.param("riscv64", "plain", 64, 243, marks=pytest.mark.skipif(not TEST_ALL, reason="another build: make test-all")),
    ],
)
def test_objects_for_other_processors_are_built_anywhere(machine, name, bits, kind, tmp_path):
    """Machine code that needs nothing but what every C library has; `tests/emulated/run.sh` runs it."""
    python("-m", "edgebn.kernels.aot", "--machine", machine, "--isa", name, "--output", str(tmp_path))
    (built,) = tmp_path.iterdir()
    assert built.name.startswith(f"linux-{machine}-{name}-")
    header = built.read_bytes()[:20]
    assert header[:5] == b"\x7fELF" + bytes([bits // 32])
    assert int.from_bytes(header[18:20], "little") == kind


@pytest.mark.parametrize(
    ("said", "pointer", "machine"),
    [
        ("aarch64", 8, "aarch64"),
        ("aarch64", 4, "armv7l"),  # Raspberry Pi OS of 32 bits on a kernel of 64
        ("armv8l", 4, "armv7l"),
        ("armv7l", 4, "armv7l"),
        ("armv6l", 4, "armv6l"),
        ("x86_64", 8, "x86_64"),
    ],
)
def test_a_python_of_32_bits_is_of_a_processor_of_32_bits(said, pointer, machine):
    assert features.machine_of(said, pointer) == machine


def test_what_32_bit_arm_has_is_read_from_its_capabilities():
    cortex_a7, cortex_a9 = (1 << 12) | (1 << 16) | (1 << 19), 1 << 12  # the latter without fused multiply-adds
    for bits, best in ((cortex_a7, "neon32"), (cortex_a9, "plain")):
        has = features.from_capabilities(bits, features.ARM32_BITS)
        assert isa.available("armv7l", has)[0].name == best
    assert [one.name for one in isa.available("armv6l", frozenset())] == ["plain"]


def test_a_set_of_another_processor_is_refused():
    command = [sys.executable, "-m", "edgebn.kernels.aot", "--machine", "aarch64", "--isa", "avx2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "aarch64 has neondot, neon, plain" in done.stderr
