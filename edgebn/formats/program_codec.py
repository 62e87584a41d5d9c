"""A `Program` as plain JSON and back, driven by the dataclasses of `edgebn.program`: their annotations say what may stand where.

Nothing is looked up by name but in one fixed table of classes. Arrays leave through a callback and come back by name.
"""

from __future__ import annotations

import functools
import importlib
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgebn import program as program_module
from edgebn.errors import ModelError
from edgebn.program import OMITTED_WHEN_EMPTY, OMITTED_WHEN_NONE, Program, Step
from edgebn.quick_dataclass import MISSING, fields_of

# Where the dataclasses of the contract are; few programs have any of the others, and a start imports none for nothing.
OTHERS = ("edgebn.adaptation", "edgebn.preparation.data")


def _classes_of(module: types.ModuleType) -> dict[str, type]:
    """Return the dataclasses of a module by name; the library is not asked, for it would look at them all."""
    return {
        name: member
        for name, member in vars(module).items()
        if isinstance(member, type) and "__dataclass_fields__" in vars(member) and member.__module__ == module.__name__
    }


CLASSES = _classes_of(program_module)


@functools.cache
def _others() -> dict[str, type]:
    return {name: kind for module in OTHERS for name, kind in _classes_of(importlib.import_module(module)).items()}


def _class_called(name: object) -> type | None:
    """Return the dataclass of the contract that has a name."""
    return (CLASSES.get(name) or _others().get(name)) if isinstance(name, str) else None


Store = Callable[[np.ndarray, str], Any]

_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def encode(value: Any, store: Store, path: str = "") -> Any:
    """Return `value` as JSON can hold it.

    Parameters
    ----------
    value : Any
        A dataclass of the contract, or what its fields hold.
    store : callable
        Takes an array and its path ('steps/0/weight') and returns what stands for it in the JSON.
    path : str
        Of `value`.
    """
    if isinstance(value, np.ndarray):
        return store(value, path)
    if isinstance(value, np.generic):
        return encode(value.item(), store, path)
    import dataclasses

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = {
            entry.name: encode(getattr(value, entry.name), store, f"{path}/{entry.name}")
            for entry in dataclasses.fields(value)
            if not _is_omitted(getattr(value, entry.name), entry.metadata)
        }
        if isinstance(value, Program):  # stated since the first version of the file, in which programs had a type of their own
            entries = list(inside.items())
            entries.insert(list(inside).index("buffers"), ("dtype", value.dtype))
            inside = dict(entries)
        return {"class": type(value).__name__, **inside}
    if isinstance(value, tuple | list):
        return [encode(item, store, f"{path}/{index}") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {key: encode(item, store, f"{path}/{key}") for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path}: a {type(value).__name__} does not belong into a program")


def _is_omitted(value: Any, metadata: Mapping[str, Any]) -> bool:
    """Whether a field says nothing that a reader would not assume: files without it are the same files as ever."""
    return (value is None and OMITTED_WHEN_NONE in metadata) or (OMITTED_WHEN_EMPTY in metadata and not value)


def decode(tree: Any, tensors: Mapping[str, np.ndarray]) -> Program:
    """Return the program that `encode` wrote.

    Parameters
    ----------
    tree : Any
        From JSON; an array stands as {"tensor": name}.
    tensors : mapping of str to ndarray

    Raises
    ------
    ModelError
        Anything that does not fit the contract's annotations; the message says where.
    """
    stated = tree.get("dtype") if isinstance(tree, dict) else None
    kept = {key: value for key, value in tree.items() if key != "dtype"} if isinstance(tree, dict) else tree
    decoded = _decoder(Program)(kept, tensors, "program")
    assert isinstance(decoded, Program)
    odd = next(
        (buffer for name, buffer in decoded.buffers.items() if name not in decoded.constants and buffer.dtype != stated), None
    )
    if stated != decoded.dtype and odd is not None:
        raise ModelError(f"the buffer '{odd.name}' is {odd.dtype} in a program of {str(stated)[:20]}")
    return decoded


Decoder = Callable[[Any, Mapping[str, np.ndarray], str], Any]  # of a tree, the tensors and the path, for messages


@functools.cache
def _decoder(kind: Any) -> Decoder:
    """Return what decodes trees of an annotation, which is looked at once."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_decoder(arguments)
    if origin is tuple:
        return _tuple_decoder(arguments)
    if origin is dict:
        inner = _decoder(arguments[1])

        def decoded_table(tree: Any, tensors: Mapping[str, np.ndarray], path: str) -> Any:
            if not isinstance(tree, dict):
                raise _misfit(path, "a table")
            return {key: inner(item, tensors, f"{path}/{key}") for key, item in tree.items()}

        return decoded_table
    if kind is np.ndarray:
        return _decoded_array
    if _is_of_contract(kind):
        return lambda tree, tensors, path: _decoded_instance(tree, kind, tensors, path)
    return _scalar_decoder(kind)


def _tuple_decoder(arguments: tuple[Any, ...]) -> Decoder:
    repeated = _decoder(arguments[0]) if arguments[-1] is Ellipsis else None
    places = [] if repeated is not None else [_decoder(argument) for argument in arguments]

    def decoded(tree: Any, tensors: Mapping[str, np.ndarray], path: str) -> Any:
        if not isinstance(tree, list):
            raise _misfit(path, "a list")
        if repeated is not None:
            return tuple([repeated(item, tensors, f"{path}/{index}") for index, item in enumerate(tree)])
        if len(places) != len(tree):
            raise _misfit(path, f"a list of {len(places)}")
        return tuple(place(item, tensors, f"{path}/{index}") for index, (place, item) in enumerate(zip(places, tree, strict=True)))

    return decoded


def _decoded_array(tree: Any, tensors: Mapping[str, np.ndarray], path: str) -> Any:
    name = tree.get("tensor") if isinstance(tree, dict) else None
    if not isinstance(name, str) or name not in tensors:
        raise _misfit(path, "the name of a stored tensor")
    return tensors[name]


def _union_decoder(kinds: tuple[Any, ...]) -> Decoder:
    by_class = {kind.__name__: _decoder(kind) for kind in kinds if _is_of_contract(kind)}
    others = [_decoder(kind) for kind in kinds if kind is not type(None) and not _is_of_contract(kind)]
    takes_none = type(None) in kinds

    def decoded(tree: Any, tensors: Mapping[str, np.ndarray], path: str) -> Any:
        if tree is None and takes_none:
            return None
        named = tree.get("class") if isinstance(tree, dict) else None
        decoder = by_class.get(named) if isinstance(named, str) else others[0] if others and named is None else None
        if decoder is None:
            raise _misfit(path, "one of " + ", ".join(getattr(kind, "__name__", str(kind)) for kind in kinds))
        return decoder(tree, tensors, path)

    return decoded


def _is_of_contract(kind: Any) -> bool:
    return isinstance(kind, type) and (CLASSES.get(kind.__name__) is kind or kind.__module__ in OTHERS)


def _decoded_instance(tree: Any, kind: Any, tensors: Mapping[str, np.ndarray], path: str) -> Any:
    named = tree.get("class") if isinstance(tree, dict) else None
    actual = _class_called(named)
    if actual is None or not issubclass(actual, kind) or actual is Step:
        raise _misfit(path, f"a {kind.__name__}")
    entries = fields_of(actual)
    unknown = tree.keys() - entries.keys() - {"class"}
    if unknown:
        raise _misfit(path, f"without {', '.join(sorted(unknown))}")
    values = {}
    for name, entry in entries.items():
        if name in tree:
            values[name] = _field_decoder(actual, name)(tree[name], tensors, f"{path}/{name}")
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise _misfit(f"{path}/{name}", "there")
    return actual(**values)


@functools.cache
def _field_decoder(cls: type, name: str) -> Decoder:
    """Return what decodes a field: only of those that some tree has, for an annotation may name what no start imports."""
    return _decoder(_evaluated(fields_of(cls)[name].type, cls.__module__))


@functools.cache
def _evaluated(annotation: str, module: str) -> Any:
    """Return an annotation as the module that it stands in means it: many fields have the same, and evaluating takes time."""
    known = vars(sys.modules[module])
    try:
        return eval(annotation, known)  # noqa: S307  # our own words
    except NameError:  # which it imports for type checkers alone
        return eval(annotation, known | _others())  # noqa: S307


def _scalar_decoder(kind: Any) -> Decoder:
    kinds = (float, int) if kind is float else (kind,)

    def decoded(tree: Any, _: Mapping[str, np.ndarray], path: str) -> Any:
        if type(tree) in kinds:  # True is no number
            return tree
        if kind is float and isinstance(tree, str) and tree in _NOT_FINITE:
            return _NOT_FINITE[tree]
        raise _misfit(path, f"of type {getattr(kind, '__name__', kind)}")

    return decoded


def _misfit(path: str, wanted: str) -> ModelError:
    return ModelError(f"its description does not fit: '{path}' should be {wanted}")
