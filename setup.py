"""What pyproject.toml cannot say of a wheel: the objects in it, its tag, and that with them it needs NumPy alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import edgebn_build
from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

# The oldest C library that wheels of today are for; objects need nothing of it but memset and the like. RISC-V has none that old,
# and for ARMv6 nobody agreed on any: pip takes what is for Linux there.
PLATFORM = "manylinux_2_17_{machine}"
OTHERS = {
    "riscv64": "manylinux_2_31_riscv64",
    "armv6l": "linux_armv6l",
    "arm64": "macosx_11_0_arm64",
    "AMD64": "win_amd64",
}


class BuildWithObjects(build_py):
    """Copies the package, then builds objects from the copy: their names hold a hash of its sources."""

    def run(self) -> None:
        """Replace whatever an earlier build left."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if edgebn_build.shipped is not None:
            objects = Path(self.build_lib).resolve() / "edgebn" / "kernels" / "objects"
            command = [sys.executable, "-m", "edgebn.kernels.aot", "--machine", edgebn_build.shipped, "--output", str(objects)]
            subprocess.run(command, cwd=self.build_lib, check=True)  # noqa: S603  # our own builder
            seal = [sys.executable, "-c", "from edgebn.kernels import version; version.seal()"]
            subprocess.run(seal, cwd=self.build_lib, check=True)  # noqa: S603  # the same


class PlatformDistribution(Distribution):
    """One whose files belong where those of one kind of processor are installed."""

    def has_ext_modules(self) -> bool:
        """Whether it has objects."""
        return edgebn_build.shipped is not None or super().has_ext_modules()


class PlatformWheel(bdist_wheel):
    """A wheel for one kind of processor and every Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return Python, ABI and platform."""
        if edgebn_build.shipped is None:
            return super().get_tag()
        return "py3", "none", OTHERS.get(edgebn_build.shipped, PLATFORM.format(machine=edgebn_build.shipped))


setup(
    distclass=PlatformDistribution,
    install_requires=["numpy>=1.24"] if edgebn_build.shipped is not None else ["numpy>=1.24", "numba>=0.61"],
    cmdclass={"build_py": BuildWithObjects, "bdist_wheel": PlatformWheel},
)
