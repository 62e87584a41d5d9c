"""Which files the repository tracks."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[str]:
    """Return the paths from the repository's root; skips the test where this is no checkout, or there is no git to ask."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed: it says which files are the repository's")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.decode().split("\0")[:-1]
