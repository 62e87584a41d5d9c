"""JSON read without the package says what the package does, and refuses what it refuses."""

import json
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn.formats import quick_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.sampled_from(["", " ", "\n\t "]), st.booleans())
def test_what_the_package_writes_is_read_as_the_package_does(value, space, is_ascii):
    text = space + json.dumps(value, ensure_ascii=is_ascii) + space
    assert quick_json.loads(text) == json.loads(text)


@pytest.mark.parametrize("text", ["", " ", "{", "[1,]", "{'a': 1}", "1 2", "nul", '"\n"', '{"a": 1}}', "\x00", "01"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(json.JSONDecodeError) as theirs:
        json.loads(text.strip(quick_json.SPACE))
    with pytest.raises(json.JSONDecodeError) as ours:
        quick_json.loads(text)
    assert str(ours.value) == str(theirs.value)


def test_nan_is_read_as_the_package_does():
    assert math.isnan(quick_json.loads("[NaN]")[0])


def test_too_deep_is_too_deep():
    with pytest.raises(RecursionError):
        quick_json.loads("[" * 1_000_000)


def test_an_interpreter_without_the_scanner_asks_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "_json", None)
    assert quick_json.loads('{"a": [1, 2.5]}') == {"a": [1, 2.5]}
