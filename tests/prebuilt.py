"""Compiles for a run of all tests what many of them would compile one by one, or load slowly: `python -m tests.prebuilt`.

Objects, which a process loads in a hundredth of the JIT's time, for the selected instruction set and for those that tests run in
processes of their own; and the JIT's executor of all kernels, which tests hold the objects against. What is there is left.
"""

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from edgebn.kernels import aot, features, isa, native
from tests.conftest import TEST_ALL

# Sets that differ from their neighbours by a product alone are run where time does not matter.
NEIGHBOURS = () if TEST_ALL else ("avx512", "avxvnni", "neon")
OTHERS = [found.name for found in isa.AVAILABLE if found is not isa.SELECTED and found.name not in NEIGHBOURS]
JIT = [sys.executable, "-c", "from edgebn.kernels import executor; executor.executor('mixed')"]
OBJECT = [sys.executable, "-m", "edgebn.kernels.aot", "--isa"]


def is_built(name):
    """Whether the object of an instruction set is where processes look for it, made from the present sources."""
    path = aot.OBJECTS / native.file_name(name, features.machine(), platform.system())
    return path.exists() and native.is_whole(path)


def can_build():
    return platform.system() == "Linux" and bool(shutil.which("cc") or shutil.which("ld.lld"))


def main():
    """Compile side by side, the longest first, and return 1 where something failed."""
    names = [isa.SELECTED.name, *OTHERS] if can_build() else []
    commands = [JIT, *([*OBJECT, name] for name in names if not is_built(name))]
    environment = {**os.environ, "EDGEBN_OBJECTS": ""}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(lambda command: subprocess.run(command, env=environment, check=False), commands))
    return int(any(one.returncode for one in done))


if __name__ == "__main__":
    sys.exit(main())
