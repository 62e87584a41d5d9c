"""`EDGEBN_PLAIN_CALLS`, free-threaded Pythons and other versions of Python: the same bytes, by the way that is asked for."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from edgebn.kernels import native
from edgebn.session.ndarray_struct import are_wanted
from tests.formats.test_released import FOLDER

ROOT = Path(__file__).resolve().parents[2]
RELEASED = FOLDER / "edgebn1-state1"
NAMES = [f"python3.{minor}" for minor in range(11, 16) if minor != sys.version_info.minor]
OTHERS = [found for found in (os.environ.get("EDGEBN_OTHER_PYTHON"), *map(shutil.which, NAMES)) if found]


def told(python, **environment):
    command = [python, str(ROOT / "tests" / "kernels" / "plain_calls.py"), str(RELEASED)]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_calls_are_plain_where_they_were_asked_to_be():
    fast, plain = told(sys.executable, EDGEBN_PLAIN_CALLS="0"), told(sys.executable, EDGEBN_PLAIN_CALLS="1")
    assert fast["same"]
    assert plain["same"]
    assert not plain["known"]
    assert not plain["after_head"]
    assert not plain["fast_call"]
    if sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert fast["known"]
        assert fast["fast_call"]


def test_who_wants_the_words():
    assert are_wanted({}, is_free_threaded=False)
    assert are_wanted({"EDGEBN_PLAIN_CALLS": "0"}, is_free_threaded=False)
    assert not are_wanted({"EDGEBN_PLAIN_CALLS": "1"}, is_free_threaded=False)
    assert not are_wanted({}, is_free_threaded=True)


@pytest.mark.skipif(
    not OTHERS, reason=f"no other Python: EDGEBN_OTHER_PYTHON names none, and none is on PATH of {', '.join(NAMES)}"
)
@pytest.mark.parametrize("plain", ["0", "1"])
@pytest.mark.parametrize("other", OTHERS)
def test_another_python_gives_the_same_bytes(other, plain):
    found = subprocess.run([other, "-c", "import numpy"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"{other} has no NumPy")
    if native.folder() is None or not list(native.folder().glob("*.so")):
        pytest.skip("no kernels compiled ahead of time: `make objects`, or EDGEBN_OBJECTS names a folder of them")
    outcome = told(other, EDGEBN_PLAIN_CALLS=plain)
    assert outcome["object"]
    assert outcome["same"]
    assert outcome["known"] == outcome["fast_call"] == (plain == "0")
