"""Where compiled kernels are kept: a private folder, versioned by all that the machine code depends on."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edgebn.kernels import cache
from tests.conftest import TEST_ALL

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import numpy as np
from edgebn.cli.warmup import smallest_program
from edgebn.session import Session
print(Session(smallest_program("int8")).run(np.ones((1, 1), np.int8)))
"""
NOWHERE = "/dev/null/home"  # below a file: nobody can make a folder there, not even root


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))


def test_home_is_used_and_only_the_owner_can_write_there(tmp_path):
    folder = cache.folder()
    assert folder.parent == tmp_path / "home" / ".cache" / "edgebn"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME"])
def test_the_users_choice_comes_first(name, monkeypatch, tmp_path):
    monkeypatch.setenv(name, str(tmp_path / "chosen"))
    assert cache.folder().parent == tmp_path / "chosen" / "edgebn"


def test_a_home_that_cannot_be_written_leaves_a_private_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", NOWHERE)
    assert cache.folder().is_relative_to(tmp_path / "temporary")


def test_nothing_writable_is_said_so(monkeypatch):
    monkeypatch.setenv("HOME", NOWHERE)
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: NOWHERE)
    assert cache.folder() is None


def test_a_folder_that_others_can_write_is_refused(tmp_path):
    (tmp_path / "home" / ".cache").mkdir(parents=True)
    (tmp_path / "home" / ".cache" / "edgebn").mkdir()
    (tmp_path / "home" / ".cache" / "edgebn").chmod(0o777)
    assert cache.folder().is_relative_to(tmp_path / "temporary")


def test_the_version_follows_the_sources_and_the_instruction_set(monkeypatch):
    names = {cache.version()}
    monkeypatch.setattr(cache, "sources", lambda: "others")
    names.add(cache.version())
    monkeypatch.setattr(cache.llvm, "get_host_cpu_name", lambda: "another")
    names.add(cache.version())
    assert len(names) == 3


@pytest.mark.skipif(not TEST_ALL, reason="compiles an executor: make test-all")
def test_a_session_runs_where_home_cannot_be_written(tmp_path):
    """The whole way: compile (here the smallest instruction set, which is quickest) and run, with only a temporary folder."""
    environment = {**os.environ, "HOME": NOWHERE, "TMPDIR": str(tmp_path), "EDGEBN_ISA": "plain", "EDGEBN_OBJECTS": ""}
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[[1]]\n", 0), done.stderr
    assert list(tmp_path.glob("edgebn-*/*/__pycache__/*.nbc"))
