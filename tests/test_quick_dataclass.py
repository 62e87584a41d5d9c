"""Our frozen dataclasses behave as the standard library's: each statement is checked of both."""

import copy
import dataclasses
import pickle

import pytest

from edgebn import quick_dataclass


@dataclasses.dataclass(frozen=True)
class Library:
    name: str
    numbers: tuple[int, ...] = ()
    note: str = dataclasses.field(default="", compare=False)


@quick_dataclass.dataclass(frozen=True)
class Ours:
    name: str
    numbers: tuple[int, ...] = ()
    note: str = dataclasses.field(default="", compare=False)


@dataclasses.dataclass(frozen=True)
class LibraryChild(Library):
    size: int = 0

    def __post_init__(self):
        object.__setattr__(self, "size", self.size + 1)


@quick_dataclass.dataclass(frozen=True)
class OursChild(Ours):
    size: int = 0

    def __post_init__(self):
        object.__setattr__(self, "size", self.size + 1)


both = pytest.mark.parametrize(("kind", "child"), [(Library, LibraryChild), (Ours, OursChild)])


@both
def test_fields_are_set_once(kind, child):
    for value in (kind("a", (1,)), child("a", (1,), size=4)):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
            value.name = "b"
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'other'"):
            value.other = 1
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
            del value.name
    assert child("a", size=4).size == 5


@both
def test_equal_fields_are_equal_and_hash_alike(kind, child):
    assert kind("a", (1,), note="x") == kind("a", (1,), note="y")
    assert hash(kind("a", (1,), note="x")) == hash(kind("a", (1,)))
    assert kind("a", (1,)) != kind("a", (2,))
    assert kind("a") != child("a")
    assert kind("a") != ("a", ())


@both
def test_it_is_a_dataclass(kind, child):
    value = child("a", (1, 2))
    assert dataclasses.is_dataclass(kind)
    assert [field.name for field in dataclasses.fields(value)] == ["name", "numbers", "note", "size"]
    assert dataclasses.replace(kind("a"), name="b") == kind("b")
    assert repr(value) == f"{child.__name__}(name='a', numbers=(1, 2), note='', size=1)"
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
    with pytest.raises(TypeError):
        kind()
