"""`dataclass(frozen=...)` as the standard library has it, made in no time: a start imports about a hundred of them.

The library writes and compiles six methods for each class, half a millisecond on a desktop and several on a Pi; here all classes
share theirs. So do the first objects of a class with `__init__`: one of its own, which is faster to call and takes as long to
compile as a hundred calls of the shared one, is written for classes of many objects.
The library looks at a class only when somebody asks it for the fields; `fields_of` and `replace` of this module need no such look.
The library's `fields`, `replace` and `is_dataclass` work as ever; fields may be its own or this module's, with which a start need
not even import it. What no start imports has no use for all this.
"""

from __future__ import annotations

import functools
import sys
from _thread import RLock  # all that a start needs of `threading`
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import dataclasses

    # Type checkers know what the library's ones do.
    from dataclasses import dataclass as dataclass  # noqa: PLC0414
    from dataclasses import field as field  # noqa: PLC0414
    from dataclasses import replace as replace  # noqa: PLC0414
else:

    def dataclass(*, frozen: bool) -> Callable[[type], type]:
        """Return the decorator."""
        return _frozen if frozen else _mutable

    def replace(value: Any, /, **changes: Any) -> Any:
        """Return the same with other fields, as the library's does."""
        for name, field in fields_of(type(value)).items():
            if field.init:
                changes.setdefault(name, getattr(value, name))
            elif name in changes:
                raise ValueError(f"field {name} is declared without a place in __init__; it cannot be specified with replace()")
        return type(value)(**changes)

    def field(**said: Any) -> Field:
        """Return what a class says of a field in place of a default: what the library's takes."""
        return Field(**said)


MISSING: Any = object()  # a default that there is not


class Field:
    """One field, as far as the shared methods and `__init__` want to know it; `said` is what the class says of it."""

    default = default_factory = MISSING
    init = repr = compare = True
    kw_only = False
    metadata: Mapping[str, Any]
    type: Any = None

    def __init__(self, **said: Any) -> None:
        self.said = said
        vars(self).update(said, metadata=said.get("metadata") or {})


INIT = "__init__"
FIELDS = "__dataclass_fields__"
SIGNATURE = "__signature__"
LATER = (FIELDS, "__dataclass_params__", "__match_args__")
MANY = 64  # objects
_WRITING = RLock()


COMMON = ("__eq__", "__repr__")  # of `_Methods`, in all classes


class _Methods:
    """What frozen dataclasses have, by looking at the fields when called."""

    def __setattr__(self, name: str, value: Any) -> None:
        kind: type = type(self)
        if name in vars(self) or name not in fields_of(kind):  # `__init__` sets each once
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        kind: type = type(self)
        shown = (f"{name}={getattr(self, name)!r}" for name, field in fields_of(kind).items() if field.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"


class _Later:
    """An attribute that the library gives a class when it looks at it: somebody's asking for it is when it does."""

    def __init__(self, cls: type, name: str) -> None:
        self._cls, self._name = cls, name

    def __get__(self, instance: object, owner: type) -> Any:
        with _WRITING:
            own = vars(self._cls)
            for name in LATER:
                if isinstance(own.get(name), _Later):
                    delattr(self._cls, name)
            if FIELDS not in own:
                import dataclasses

                for name, field in [(name, value) for name, value in own.items() if isinstance(value, Field)]:
                    setattr(self._cls, name, dataclasses.field(**field.said))
                dataclasses.dataclass(init=False, repr=False, eq=False)(self._cls)
        return getattr(owner if instance is None else instance, self._name)


class _LaterSignature:
    """What a class with the shared `__init__` takes, which the shared one does not tell."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __get__(self, instance: object, owner: type) -> Any:
        import inspect

        _written_init(self._cls)
        return inspect.signature(owner)


OF_FROZEN = {name: vars(_Methods)[name] for name in (*COMMON, "__setattr__", "__delattr__", "__hash__")}
# Equal objects may differ later: none has a hash.
OF_MUTABLE = {"__hash__": None, **{name: vars(_Methods)[name] for name in COMMON}}


def _frozen(cls: type) -> type:
    return _with_methods(cls, OF_FROZEN)


def _mutable(cls: type) -> type:
    return _with_methods(cls, OF_MUTABLE)


def _with_methods(cls: type, methods: Mapping[str, Any]) -> type:
    for name, method in methods.items():
        if name not in vars(cls):
            setattr(cls, name, method)
    if "__init__" not in vars(cls):
        setattr(cls, INIT, _first_init(cls))
        setattr(cls, SIGNATURE, _LaterSignature(cls))
    for name in LATER:
        setattr(cls, name, _Later(cls, name))
    return cls


def _first_init(cls: type) -> Callable[..., None]:
    """Return an `__init__` that does for the first objects, and has one written for the others."""
    made = 0

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807  # it is one
        nonlocal made
        made += 1
        parameters = _parameters(cls)
        values = parameters.values_of(arguments, named) if made < MANY else None
        if values is None:
            written = _written_init(cls)
            written(self, *arguments, **named)
            return
        self.__dict__.update(values)
        if parameters.is_looked_at:
            self.__post_init__()

    return __init__


class _Parameters:
    """What the `__init__` of a class takes: all names, those that may be given by their place, and what the others default to."""

    def __init__(self, cls: type) -> None:
        fields = fields_of(cls)
        names, places, required = [], [], []
        self.defaults: dict[str, Any] = {}
        self.factories: list[tuple[str, Callable[[], Any]]] = []
        for name, field in fields.items():
            if field.default is not MISSING:
                self.defaults[name] = field.default
            elif field.default_factory is not MISSING:
                self.factories.append((name, field.default_factory))
            elif field.init:
                required.append(name)
            if field.init:
                names.append(name)
            if field.init and not field.kw_only:
                places.append(name)
        self.names, self.places, self.required = frozenset(names), tuple(places), frozenset(required)
        self.is_looked_at = hasattr(cls, "__post_init__")
        # How many there are, where all of them are given.
        self._count = len(fields) if len(fields) == len(self.names) else -1

    def values_of(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any] | None:
        """Return what an object's fields shall be, or None where the arguments are not what the class takes."""
        if not arguments and len(named) == self._count and named.keys() == self.names:
            return named
        if not named and len(arguments) == self._count == len(self.places):
            return dict(zip(self.places, arguments, strict=True))
        places = self.places[: len(arguments)]
        values = {**self.defaults, **dict(zip(places, arguments, strict=False)), **named}
        for name, make in self.factories:
            if name not in values:
                values[name] = make()
        fits = len(places) == len(arguments) and named.keys() <= self.names and named.keys().isdisjoint(places)
        return values if fits and self.required <= values.keys() else None


_parameters = functools.cache(_Parameters)


@functools.cache
def fields_of(cls: type) -> dict[str, Field]:
    """Return a class's fields by name."""
    own = vars(cls).get(FIELDS)
    if isinstance(own, dict):  # the library has looked at the class
        from dataclasses import fields

        return {field.name: _of_library(field) for field in fields(cls)}
    found: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        if FIELDS in vars(base):
            found |= fields_of(base)
    is_alone = cls.__bases__ == (object,)  # no default is of another class: to ask a class for what it lacks takes time
    for name, annotation in cls.__annotations__.items() if own is not None else ():
        if str(annotation).startswith(("ClassVar", "typing.ClassVar")):
            continue
        default: Any = vars(cls).get(name, MISSING) if is_alone else getattr(cls, name, MISSING)
        if default is MISSING:
            found[name] = Field()
        elif isinstance(default, Field):
            found[name] = default
        else:
            found[name] = _of_library(default) if _is_of_library(default) else Field(default=default)
        found[name].type = annotation
    return found


def _is_of_library(value: object) -> bool:
    library = sys.modules.get("dataclasses")
    return library is not None and isinstance(value, library.Field)


def _of_library(field: dataclasses.Field[Any]) -> Field:
    """Return one of the library's fields."""
    from dataclasses import MISSING as NOTHING

    names = ("default", "default_factory", "init", "repr", "compare", "kw_only", "metadata")
    ours = Field(**{name: getattr(field, name) for name in names if getattr(field, name) is not NOTHING})
    ours.type = field.type
    return ours


def _written_init(cls: type) -> Callable[..., None]:
    """Return a class's own `__init__`, and give it to the class where it has the shared one."""
    with _WRITING:
        if isinstance(vars(cls).get(SIGNATURE), _LaterSignature):
            setattr(cls, INIT, _compiled_init(cls))
            delattr(cls, SIGNATURE)
        return cast("Callable[..., None]", getattr(cls, INIT))


def _compiled_init(cls: type) -> Callable[..., None]:
    """Write the `__init__` of a class's fields, which sets them where they are kept."""
    fields = fields_of(cls)
    known: dict[str, Any] = {}
    parameters: dict[bool, list[str]] = {False: [], True: []}  # by whether they have names alone
    body = ["kept = self.__dict__"]
    for name, field in fields.items():
        has_factory = field.default_factory is not MISSING
        if field.init:
            known[f"default_{name}"] = None if has_factory else field.default
            needed = field.default is MISSING and not has_factory
            parameters[field.kw_only].append(name if needed else f"{name}=default_{name}" if not has_factory else f"{name}=factory")
        if has_factory:
            known[f"make_{name}"] = field.default_factory
            body.append(f"kept['{name}'] = make_{name}()" + (f" if {name} is factory else {name}" if field.init else ""))
        elif field.init:
            body.append(f"kept['{name}'] = {name}")
        elif field.default is not MISSING:
            known[f"default_{name}"] = field.default
            body.append(f"kept['{name}'] = default_{name}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    listed = ", ".join(["self", *parameters[False], *(["*", *parameters[True]] if parameters[True] else [])])
    known["factory"] = object()
    source = f"def __init__({listed}):\n  " + "\n  ".join(body)
    exec(source, known)  # noqa: S102  # as the library does
    made = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {name: field.type for name, field in fields.items() if field.init} | {"return": None}
    return cast("Callable[..., None]", made)


def _values(self: Any) -> tuple[Any, ...]:
    kind: type = type(self)
    return tuple(getattr(self, name) for name, field in fields_of(kind).items() if field.compare)
