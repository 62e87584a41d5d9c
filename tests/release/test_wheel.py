"""Wheels as users get them: what is in them, and that one runs with NumPy alone. Building needs the network (`make test-all`)."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

import edgebn
from edgebn.kernels import aot
from tests.conftest import TEST_ALL

ROOT = Path(__file__).resolve().parents[2]

LARGEST = 6_000_000  # bytes
OTHERS = {
    "armv6l": ("linux", "linux_armv6l"),
    "riscv64": ("linux", "manylinux_2_31_riscv64"),
    "arm64": ("darwin", "macosx_11_0_arm64"),
    "AMD64": ("windows", "win_amd64"),
}

pytestmark = [
    pytest.mark.skipif(not TEST_ALL, reason="builds wheels: make test-all"),
    pytest.mark.skipif(platform.system() != "Linux", reason="objects are for Linux"),
    pytest.mark.skipif(not shutil.which("ld.lld"), reason="no linker for other processors: apt install lld"),
]

RUN = """
import hashlib, sys, numpy as np, edgebn
program = edgebn.load(sys.argv[1])
x = np.random.default_rng(0).integers(-128, 128, (4, *program.shapes[program.inputs[0]])).astype(np.int8)
print(hashlib.sha256(edgebn.Session(program).run(x).tobytes()).hexdigest(), edgebn.__file__)
"""


def build(machine, folder):
    """Return a wheel of a copy of the sources, so that nothing is left in the checkout."""
    source = folder / "source"
    for name in ("edgebn", "codegen", "boards", "build_backend"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "objects"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copyfile(ROOT / name, source / name)  # with the time of now: an archive says none
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder / "wheels")]
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run([*command, f"--config-settings=machine={machine}", str(source)], check=True, env=environment)
    (built,) = (folder / "wheels").iterdir()
    return built


@pytest.fixture(scope="module", params=["x86_64", "aarch64", "armv7l", "armv6l", "riscv64", "arm64", "AMD64"])
def wheel(request, tmp_path_factory):
    return request.param, build(request.param, tmp_path_factory.mktemp(request.param))


def test_two_builds_give_the_same_bytes(wheel, tmp_path):
    machine, path = wheel
    if machine not in ("armv6l", "riscv64"):
        pytest.skip("takes minutes; the builder is the same for all")
    assert build(machine, tmp_path).read_bytes() == path.read_bytes()


def test_a_wheel_has_an_object_for_every_instruction_set(wheel):
    machine, path = wheel
    system, tag = OTHERS.get(machine, ("linux", f"manylinux_2_17_{machine}"))
    assert path.name.endswith(f"-py3-none-{tag}.whl")
    assert path.stat().st_size <= LARGEST
    names = [name.rpartition("/")[2] for name in zipfile.ZipFile(path).namelist() if name.endswith(".so")]
    assert sorted(name.rpartition("-")[0] for name in names) == sorted(
        f"{system}-{machine.lower()}-{isa}" for isa in aot.sets_of(machine)
    )


def test_a_wheel_asks_for_numpy_alone(wheel):
    _, path = wheel
    with zipfile.ZipFile(path) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    assert [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line] == [
        "Requires-Dist: numpy>=1.24"
    ]


def test_an_installed_wheel_runs_every_instruction_set_without_numba(wheel, tmp_path):
    machine, path = wheel
    if machine != platform.machine():
        pytest.skip("for another processor")
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(path)], check=True)
    images = np.load(ROOT / "edgebn" / "demo_data" / "fashion_mnist_slice.npz")["calibration"] / np.float32(255)
    program = edgebn.quantize(edgebn.load(ROOT / "edgebn" / "demo_data" / "fashion_mnist.keras"), images)
    edgebn.save(program, tmp_path / "network.edgebn")
    x = np.random.default_rng(0).integers(-128, 128, (4, *program.shapes["image"])).astype(np.int8)
    expected = hashlib.sha256(edgebn.Session(program).run(x).tobytes()).hexdigest()
    packages = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout
    assert "numba" not in packages
    from edgebn.kernels import isa

    for one in isa.AVAILABLE:
        environment = {**os.environ, "EDGEBN_ISA": one.name, "PYTHONPATH": ""}
        command = [python, "-c", RUN, str(tmp_path / "network.edgebn")]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
        found, place = done.stdout.split()
        assert found == expected, one.name
        assert Path(place).is_relative_to(home)
