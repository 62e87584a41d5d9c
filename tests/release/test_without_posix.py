"""Systems without POSIX: from a file to firmware with what Windows lacks taken away, and what is asked there instead."""

import json
import platform
import sys

import pytest

import boards
from boards import emulator, tools
from edgebn.errors import BoardError
from edgebn.kernels import features, isa
from tests.pythons import python


def test_all_that_need_not_be_posix_works_without_it(tmp_path):
    told = json.loads(python("tests/release/without_posix.py", str(tmp_path), EDGEBN_OBJECTS="")[-1])
    assert told["failed"] == []  # modules that cannot be imported
    assert told["at_once"]
    assert told["user"] is None  # the hardest case: no name in the environment, and no `pwd` to ask
    assert told["same"]
    assert told["threads"]
    assert told["status"] == 0
    assert told["firmware"]
    assert told["state"]
    assert told["cache"] != "None"
    if platform.machine() == "x86_64":
        assert told["machine"] == "AMD64"
        assert told["set"] == isa.SELECTED.name or isa.SELECTED.name == "avxvnni"  # which NumPy has no name for


@pytest.mark.skipif(platform.machine() not in isa.X86, reason="features of x86")
def test_numpy_knows_the_features_that_the_system_names():
    """Windows names few of them, so NumPy is asked there: its names lead to the sets that Linux' lead to."""
    matter = {feature for one in isa.INSTRUCTION_SETS if set(one.machines) & set(isa.X86) for feature in one.features} - {"avxvnni"}
    assert features.from_numpy(features._numpy_features()) & matter == features.host_features() & matter


def test_features_on_windows_come_from_numpy(monkeypatch):
    monkeypatch.setattr(features.sys, "platform", "win32")
    monkeypatch.setattr(features, "machine", lambda: "AMD64")
    monkeypatch.setattr(features, "_from_llvm", lambda: pytest.fail("there need be no LLVM"))
    for known, best in (
        ({"AVX2": True, "FMA3": True, "AVX512F": False}, "avx2"),
        ({"AVX2": True, "FMA3": False}, "plain"),
        (dict.fromkeys(("AVX2", "FMA3", "AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX512VNNI"), True), "avx512vnni"),
    ):
        monkeypatch.setattr(features, "_numpy_features", lambda known=known: known)
        assert isa.available("AMD64", features.host_features())[0].name == best


def test_an_emulated_serial_line_is_refused_on_windows(monkeypatch, tmp_path):
    board = boards.load("host")
    monkeypatch.setattr(emulator.sys, "platform", "win32")
    with pytest.raises(BoardError, match="Windows cannot run it"), emulator.start(board, tmp_path / "program"):
        pass


def test_a_tool_that_takes_too_long_ends_without_process_groups(monkeypatch):
    monkeypatch.delattr(tools.os, "killpg", raising=False)
    monkeypatch.setattr(tools, "SECONDS", 0.01)
    with pytest.raises(tools.subprocess.TimeoutExpired):
        tools.run([sys.executable, "-c", "import threading; threading.Event().wait()"])
