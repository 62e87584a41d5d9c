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


def test_what_64_bit_arm_has_is_read_from_both_words_of_its_capabilities():
    """The bits of Linux' headers: ASIMD and ASIMDDP of the first word, I8MM of the second."""
    pi_4 = 1 << 1
    pi_5 = pi_4 | 1 << 20
    cortex_a720 = pi_5 | 1 << 64 + 13
    for bits, best in ((pi_4, "neon"), (pi_5, "neondot"), (cortex_a720, "neoni8mm"), (pi_4 | 1 << 64 + 13, "neon")):
        has = features.from_capabilities(bits, features.ARM64_BITS)
        assert isa.available("aarch64", has)[0].name == best


def test_both_words_are_asked_for(monkeypatch):
    """As an emulated processor was seen to have them: the second word's bits stand behind the first's 64."""
    asked = {16: 0b10, 26: 1 << 13}

    class Library:
        def __init__(self, name):
            self.getauxval = type("Function", (), {"__call__": lambda _, which: asked[which]})()

    monkeypatch.setattr(features.ctypes, "CDLL", Library)
    assert features._capabilities() == 0b10 | 1 << 77


@pytest.mark.parametrize(("second", "best"), [(True, "neoni8mm"), (False, "neondot")])
def test_macos_says_whether_its_processor_multiplies_matrices(monkeypatch, second, best):
    """The M1 does not; no machine of Apple's is here, so that what the system says is made up."""
    monkeypatch.setattr(features, "machine", lambda: "arm64")
    monkeypatch.setattr(features.sys, "platform", "darwin")
    monkeypatch.setattr(features, "_macos_says", {"hw.optional.arm.FEAT_I8MM": second}.__getitem__)
    assert isa.available("arm64", features.host_features())[0].name == best


def test_a_set_of_another_processor_is_refused():
    command = [sys.executable, "-m", "edgebn.kernels.aot", "--machine", "aarch64", "--isa", "avx2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "aarch64 has neoni8mm, neondot, neon, plain" in done.stderr
