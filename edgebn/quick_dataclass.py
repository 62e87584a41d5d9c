"""`dataclass(frozen=True)` as the standard library has it, made in no time: a start imports about a hundred of them.

The library writes and compiles six methods for each class, half a millisecond on a desktop and several on a Pi; here all classes
share theirs, but for `__init__`, which is written when a class has its first object: a start makes objects of a third of them.
The library looks at a class only when somebody asks for its fields.
`fields`, `replace` and `is_dataclass` work as ever. What no start imports has no use for it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  # type checkers know what the library's one does
else:

    def dataclass(*, frozen: bool) -> Callable[[type], type]:
        """Return the decorator; there are no others than frozen classes."""
        assert frozen
        return _frozen


INIT = "__init__"
FIELDS = "__dataclass_fields__"
LATER = (FIELDS, "__dataclass_params__", "__match_args__")
_WRITING = threading.RLock()


class _Methods:
    """What frozen dataclasses have, by looking at the fields when called."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self) or name not in self.__dataclass_fields__:  # `__init__` sets each once
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
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
                dataclasses.dataclass(init=False, repr=False, eq=False)(self._cls)
        return getattr(owner if instance is None else instance, self._name)


def _frozen(cls: type) -> type:
    for name in ("__setattr__", "__delattr__", "__eq__", "__hash__", "__repr__"):
        if name not in vars(cls):
            setattr(cls, name, vars(_Methods)[name])
    if "__init__" not in vars(cls):
        setattr(cls, INIT, _first_init(cls))
    for name in LATER:
        setattr(cls, name, _Later(cls, name))
    return cls


def _first_init(cls: type) -> Callable[..., None]:
    """Return an `__init__` that has the real one written when the first object is made."""

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807  # it is one
        with _WRITING:
            if getattr(cls, INIT) is __init__:
                _write_init(cls)
        getattr(cls, INIT)(self, *arguments, **named)

    return __init__


def _fields(cls: type) -> dict[str, dataclasses.Field[Any]]:
    """Return a class's fields by name, as far as `__init__` wants to know them."""
    own = vars(cls).get(FIELDS)
    if isinstance(own, dict):
        return {field.name: field for field in dataclasses.fields(cls)}
    found: dict[str, dataclasses.Field[Any]] = {}
    for base in reversed(cls.__mro__[1:]):
        if FIELDS in vars(base):
            found |= _fields(base)
    for name, annotation in cls.__annotations__.items():
        if str(annotation).removeprefix("typing.").startswith("ClassVar"):
            continue
        default: Any = getattr(cls, name, dataclasses.MISSING)
        field: dataclasses.Field[Any] = default if isinstance(default, dataclasses.Field) else dataclasses.field(default=default)
        field.type = annotation
        found[name] = field
    return found


def _write_init(cls: type) -> None:
    """Give a class the `__init__` of its fields, which sets them where they are kept."""
    missing, fields = dataclasses.MISSING, _fields(cls)
    known: dict[str, Any] = {}
    parameters: dict[bool, list[str]] = {False: [], True: []}  # by whether they have names alone
    body = ["kept = self.__dict__"]
    for name, field in fields.items():
        has_factory = field.default_factory is not missing
        if field.init:
            known[f"default_{name}"] = None if has_factory else field.default
            needed = field.default is missing and not has_factory
            parameters[field.kw_only is True].append(
                name if needed else f"{name}=default_{name}" if not has_factory else f"{name}=factory"
            )
        if has_factory:
            known[f"make_{name}"] = field.default_factory
            body.append(f"kept['{name}'] = make_{name}()" + (f" if {name} is factory else {name}" if field.init else ""))
        elif field.init:
            body.append(f"kept['{name}'] = {name}")
        elif field.default is not missing:
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
    setattr(cls, INIT, made)


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, field.name) for field in dataclasses.fields(self) if field.compare)
