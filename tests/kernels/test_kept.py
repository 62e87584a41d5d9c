"""Kept machine code that is cut, empty or garbage is compiled again and replaced; code runs where nothing can be kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="Numba is not installed")
import numba

from edgebn.kernels import cache, jit_executor, kept

ROOT = Path(__file__).resolve().parents[2]
TEXT = "def run(a):\n    return helper(a) + 1\n"
SIGNATURE = numba.int64(numba.int64)
KINDS = ("nbi", "nbc", "seal", "py")
DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "garbage": lambda data: bytes(range(256)) * (len(data) // 256 + 1),
    "one bit": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    "gone": None,
}


@numba.njit
def helper(a):
    return 2 * a


def is_compiled():
    """Get the code, use it, and say whether it had to be compiled."""
    function = kept.compiled("test", TEXT, {"helper": helper}, SIGNATURE)
    assert function(20) == 41
    return bool(function.stats.cache_misses)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where code is kept."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    return tmp_path


def files(folder, kind):
    return [path for path in folder.rglob("*") if path.suffix == f".{kind}"]


def test_what_is_kept_is_told(folder):
    def is_kept():
        return kept.is_kept("test", TEXT, {"helper": helper})

    assert not is_kept()
    assert is_compiled()
    assert is_kept()
    files(folder, "seal")[0].unlink()
    assert not is_kept()


@pytest.mark.parametrize(
    ("have", "taken"),
    [
        ((), "int8"),
        (("float32",), "int8"),
        (("mixed",), "mixed"),
        (("int8", "mixed"), "int8"),
    ],
)
def test_the_executor_of_all_kernels_serves_where_it_is_kept(have, taken, monkeypatch):
    """What is kept of one type alone is smaller and goes first; nothing is compiled that is not needed."""
    monkeypatch.setattr(kept, "is_kept", lambda name, *_: name.removeprefix("executor_") in have)
    monkeypatch.setattr(jit_executor, "_compiled", lambda dtype: dtype)
    assert jit_executor.compiled("int8") == taken


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_is_replaced(kind, damage, folder):
    assert is_compiled()
    assert not is_compiled()
    (path,) = files(folder, kind)
    if DAMAGES[damage] is None:
        path.unlink()
    else:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert is_compiled() or kind == "py"  # the source is only what Numba dates machine code by
    assert not is_compiled(), "it was not replaced"
    assert path.read_bytes().decode() == TEXT if kind == "py" else path.exists()


@pytest.mark.parametrize("damage", ["empty", "garbage"])
def test_everything_may_be_damaged_at_once(damage, folder):
    is_compiled()
    for kind in KINDS:
        for path in files(folder, kind):
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert is_compiled()
    assert not is_compiled()


def test_whole_files_that_numba_cannot_use_are_replaced(folder):
    """Sealed, but written by something else: only unpickling tells."""
    is_compiled()
    (path,) = files(folder, "nbc")
    path.write_bytes(b"not a pickle")
    kept.seal(path.parent, "test")
    assert kept.is_whole(path.parent, "test")
    assert is_compiled()
    assert not is_compiled()


@pytest.mark.parametrize("call", ["replace", "unlink", "mkstemp"])
@pytest.mark.parametrize("is_damaged", [False, True])
def test_code_runs_where_nothing_can_be_written(call, is_damaged, folder, monkeypatch):
    """A full disk, or a folder that became read-only."""
    if is_damaged:
        is_compiled()
        files(folder, "nbi")[0].write_bytes(b"")

    def refuse(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    for owner in {"replace": (os, Path), "unlink": (os, Path), "mkstemp": (cache.tempfile,)}[call]:
        monkeypatch.setattr(owner, call, refuse)
    assert is_compiled()


def test_no_folder_at_all(monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: None)
    assert is_compiled()


CHILD = """
import pathlib, sys
from edgebn.kernels import cache, kept
from tests.kernels.test_kept import SIGNATURE, TEXT, helper
cache.folder = lambda: pathlib.Path(sys.argv[1])
for _ in range(3):
    assert kept.compiled("test", TEXT, {"helper": helper}, SIGNATURE)(20) == 41
"""


def test_processes_that_start_at_once_over_damage_all_run(folder):
    is_compiled()
    for kind in KINDS:
        files(folder, kind)[0].write_bytes(b"")
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", CHILD, str(folder)]
    children = [subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for child in children:
        _, said = child.communicate(timeout=300)
        assert child.returncode == 0, said
    is_compiled()  # whoever was last may have left another's seal: at most this one compiles
    assert not is_compiled()
