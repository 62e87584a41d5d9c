"""Tables of a flatbuffer, walked by a schema of a few words: no generated code, whose import would take longer than the reading.

A file is not to be trusted: whatever stands outside it raises one of `flatbuffer.DAMAGE`. Knows no TensorFlow Lite.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

# Flatbuffers' names of numbers, as `struct` has them.
NUMBERS = {
    name: struct.Struct(f"<{code}")
    for name, code in (("bool", "?"), ("byte", "b"), ("ubyte", "B"), ("short", "h"), ("ushort", "H"), ("int", "i"), ("uint", "I"),
                       ("long", "q"), ("ulong", "Q"), ("float", "f"))
}  # fmt: skip
INT, UINT, USHORT = (NUMBERS[name].unpack_from for name in ("int", "uint", "ushort"))

Field = tuple[int, Any, Callable[[bytes, int], Any]]  # its number, what stands for an absent one, and what reads it


class Schema:
    """The tables of a kind of file.

    Parameters
    ----------
    tables : mapping of str to str
        A table's name to its fields in the order of their numbers: 'stride:int', 'dilation:int=1' (what an absent one stands for),
        'name:string', 'shape:[int]', 'options:Options', 'operators:[Operator]', 'value:union'.
    """

    def __init__(self, tables: Mapping[str, str]) -> None:
        self._tables = tables
        self._fields: dict[str, dict[str, Field]] = {}

    def root(self, name: str, data: bytes) -> Table:
        """Return the table that a file begins with."""
        return Table(self, name, data, UINT(data)[0])

    def fields(self, name: str) -> dict[str, Field]:
        """Return a table's fields by name."""
        if name not in self._fields:
            words = self._tables[name].split(" ")
            self._fields[name] = {word.partition(":")[0]: self._field(number, word) for number, word in enumerate(words)}
        return self._fields[name]

    def _field(self, number: int, word: str) -> Field:
        kind, _, default = word.partition(":")[2].partition("=")
        if kind in NUMBERS:
            unpack = NUMBERS[kind].unpack_from
            return number, float(default or 0) if kind == "float" else int(default or 0), lambda data, at: unpack(data, at)[0]
        if kind == "string":
            return number, None, _text
        if kind == "union":
            return number, None, lambda data, at: Table(self, None, data, at + UINT(data, at)[0])
        inner = kind.strip("[]")
        if inner == kind:
            return number, None, lambda data, at: Table(self, kind, data, at + UINT(data, at)[0])
        if inner in NUMBERS:
            dtype = np.dtype(NUMBERS[inner].format)
            return number, np.zeros(0, dtype), lambda data, at: _numbers(data, at, dtype)
        return number, (), lambda data, at: Tables(self, inner, data, at + UINT(data, at)[0])


class Table:
    """A table: its fields are its attributes. An absent field is the schema's default, None, or an empty vector."""

    __slots__ = ("_at", "_data", "_fields", "_listed", "_schema", "_size")

    def __init__(self, schema: Schema, name: str | None, data: bytes, at: int) -> None:
        self._listed = at - INT(data, at)[0]  # where its list of fields stands
        if self._listed < 0:
            raise ValueError(f"the table at {at} has its fields before the file")
        self._size = USHORT(data, self._listed)[0]
        self._schema, self._data, self._at = schema, data, at
        self._fields = {} if name is None else schema.fields(name)

    def read_as(self, name: str) -> Table:
        """Return a union's table as one of this name."""
        return Table(self._schema, name, self._data, self._at)

    def has(self, name: str) -> bool:
        """Whether the file states a field."""
        return self._place(self._fields[name][0]) is not None

    def __getattr__(self, name: str) -> Any:
        if name not in self._fields:
            raise AttributeError(f"a table without a field '{name}'")
        number, default, read = self._fields[name]
        at = self._place(number)
        return default if at is None else read(self._data, at)

    def _place(self, number: int) -> int | None:
        listed = 4 + 2 * number  # behind two sizes
        offset = USHORT(self._data, self._listed + listed)[0] if listed < self._size else 0
        return self._at + offset if offset else None


class Tables:
    """A vector of tables, each read when it is asked for: a damaged file may claim any number."""

    def __init__(self, schema: Schema, name: str, data: bytes, at: int) -> None:
        self._schema, self._name, self._data, self._first = schema, name, data, at + 4
        self._count: int = UINT(data, at)[0]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Table:
        if not 0 <= place < self._count:
            raise IndexError(f"table {place} of {self._count}")
        at = self._first + 4 * place
        return Table(self._schema, self._name, self._data, at + UINT(self._data, at)[0])

    def __iter__(self) -> Iterator[Table]:
        return (self[place] for place in range(self._count))


def _text(data: bytes, at: int) -> bytes:
    at += UINT(data, at)[0]
    return data[at + 4 : at + 4 + UINT(data, at)[0]]


def _numbers(data: bytes, at: int, dtype: np.dtype) -> np.ndarray:
    at += UINT(data, at)[0]
    return np.frombuffer(data, dtype, UINT(data, at)[0], at + 4)
