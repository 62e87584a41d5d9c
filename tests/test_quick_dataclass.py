"""Our dataclasses behave as the standard library's: each statement is checked of both."""

import copy
import dataclasses
import inspect
import pickle
import threading
from typing import ClassVar

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


@dataclasses.dataclass(frozen=True)
class LibraryDefaults:
    first: int
    names: list[str] = dataclasses.field(default_factory=list)
    hidden: int = dataclasses.field(default=3, init=False)
    last: int = dataclasses.field(default=4, kw_only=True)
    count: ClassVar[int] = 5


@quick_dataclass.dataclass(frozen=True)
class OursDefaults:
    first: int
    names: list[str] = dataclasses.field(default_factory=list)
    hidden: int = dataclasses.field(default=3, init=False)
    last: int = dataclasses.field(default=4, kw_only=True)
    count: ClassVar[int] = 5


@dataclasses.dataclass
class LibraryMutable:
    name: str
    names: list[str] = dataclasses.field(default_factory=list)


@quick_dataclass.dataclass(frozen=False)
class OursMutable:
    name: str
    names: list[str] = quick_dataclass.field(default_factory=list)


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


@pytest.mark.parametrize("kind", [LibraryDefaults, OursDefaults])
def test_defaults_are_those_of_the_fields(kind):
    one, two = kind(1), kind(2, ["a"], last=6)
    assert (one.first, one.names, one.hidden, one.last, one.count) == (1, [], 3, 4, 5)
    assert (two.first, two.names, two.hidden, two.last) == (2, ["a"], 3, 6)
    assert kind(1).names is not kind(1).names
    assert list(inspect.signature(kind).parameters) == ["first", "names", "last"]
    for wrong in ({}, {"first": 1, "hidden": 2}, {"first": 1, "other": 2}):
        with pytest.raises(TypeError):
            kind(**wrong)
    with pytest.raises(TypeError):
        kind(1, [], 3)


def test_first_objects_of_many_threads_are_whole():
    @quick_dataclass.dataclass(frozen=True)
    class Late:
        a: int
        b: int = 2

    found = []
    barrier = threading.Barrier(8)

    def make():
        barrier.wait()
        found.append(Late(1))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Late(1, 2)] * 8


def test_fields_are_known_before_the_first_object_and_after():
    def made(decorator):
        @decorator(frozen=True)
        class Base:
            first: int
            names: list[str] = dataclasses.field(default_factory=list)

        @decorator(frozen=True)
        class Child(Base):
            count: ClassVar[int] = 5
            second: int = dataclasses.field(default=2, kw_only=True)

        return Base, Child

    def described(kind):
        return [(field.name, field.default, field.init, field.kw_only) for field in dataclasses.fields(kind)], kind.__match_args__

    wanted = [described(kind) for kind in made(dataclasses.dataclass)]
    assert [described(kind) for kind in made(quick_dataclass.dataclass)] == wanted
    base, child = made(quick_dataclass.dataclass)
    assert child(1, ["a"], second=3).second == 3
    assert [described(kind) for kind in (base, child)] == wanted
    base, child = made(quick_dataclass.dataclass)
    assert dataclasses.is_dataclass(child)
    assert child(1).names == []
    match child(1, ["a"]):
        case child(first, names):
            assert (first, names) == (1, ["a"])
        case _:
            raise AssertionError


def test_the_signature_is_known_before_the_first_object():
    @quick_dataclass.dataclass(frozen=True)
    class Early:
        a: int
        b: list[int] = dataclasses.field(default_factory=list)

    class Own(Early):
        def __init__(self, c):
            super().__init__(c)

    assert list(inspect.signature(Own).parameters) == ["c"]
    assert list(inspect.signature(Early).parameters) == ["a", "b"]
    assert Own(1).a == Early(1, []).a == 1


@pytest.mark.parametrize("kind", [LibraryDefaults, OursDefaults])
def test_first_and_later_objects_are_alike(kind):
    for number in range(2 * quick_dataclass.MANY):
        made = kind(number, last=5)
        assert (made.first, made.names, made.hidden, made.last) == (number, [], 3, 5)
        with pytest.raises(TypeError):
            kind(number, first=number)


@pytest.mark.parametrize("change", [dataclasses.replace, quick_dataclass.replace])
@both
def test_other_fields_are_replaced(kind, child, change):
    assert change(child("a", (1,), note="x"), name="b") == child("b", (1,), size=1)
    assert change(child("a", note="x"), name="b").note == "x"
    with pytest.raises(TypeError):
        change(kind("a"), other=1)


@pytest.mark.parametrize("kind", [LibraryDefaults, OursDefaults])
@pytest.mark.parametrize("change", [dataclasses.replace, quick_dataclass.replace])
def test_what_init_does_not_take_is_not_replaced(kind, change):
    assert change(kind(1, last=2), first=3) == kind(3, last=2)
    with pytest.raises(ValueError, match="hidden"):
        change(kind(1), hidden=2)


def test_a_plain_child_has_the_fields_of_its_parent():
    class Plain(Ours):
        more: int = 4

    assert Plain("a") == Plain("a", note="y")
    assert list(quick_dataclass.fields_of(Plain)) == ["name", "numbers", "note"]


@pytest.mark.parametrize("kind", [LibraryMutable, OursMutable])
def test_fields_that_change(kind):
    one, two = kind("a"), kind("a", ["x"])
    assert one != two
    one.names.append("x")
    assert one == two
    one.name, one.other = "b", 1
    del one.other
    assert repr(one).endswith("(name='b', names=['x'])")
    assert dataclasses.replace(one, name="a") == two
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
