"""Takes one object apart by one step: into text, a number, a list of members or pairs of fields.

Everything is decided by the object's type (never through its own attributes, which mocks and proxies
invent) and no library is imported for it: numpy, pydantic and attrs are known by what their types
carry. Whatever user code is run on the way may raise; that becomes text too.
"""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import enum
import fractions
import functools
import itertools
import pathlib
import re
import types
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence, Set, ValuesView
from typing import Any, Final, TypeGuard, TypeVar

T = TypeVar("T")

_MAX_BASE64: Final = 768
_MAX_REPR: Final = 8192
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
#: A repr of these runs a database query.
_NO_REPR: Final = frozenset({"django.db.models.query.QuerySet", "sqlalchemy.orm.query.Query"})


class Items:
    """Members of a list-like value: the first of them, and how many there are."""

    __slots__ = ("total", "values")

    def __init__(self, values: Iterable[object], total: int) -> None:
        self.values = values
        self.total = total


class Pairs:
    """Keys and values of a mapping-like value: the first of them, and how many there are."""

    __slots__ = ("total", "values")

    def __init__(self, values: Iterable[tuple[object, object]], total: int) -> None:
        self.values = values
        self.total = total


def simplify(value: object, limit: int, room: int) -> object:
    """``value``, one step nearer to JSON: a plain scalar, :class:`Items` or :class:`Pairs`. Never raises.

    Args:
        limit: most members that are taken.
        room: characters that are left to write; long text is cut there before it is decoded.
    """
    try:
        return _simplify(value, limit, room)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a repr that calls sys.exit() must not end the program
        return unreadable(value, error)


def is_a(value: object, *kinds: type[T]) -> TypeGuard[T]:
    """``isinstance``, without asking the value: ``__class__`` may raise, or lie."""
    return issubclass(type(value), kinds)


def type_name(value: object) -> str:
    """``module.Class`` of a value, without the module for builtins."""
    try:
        kind = type(value)
        module = kind.__module__
        return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    except Exception:  # a metaclass of the user's
        return "object"


def unreadable(value: object, error: BaseException) -> str:
    """What stands in for a value that raised ``error``."""
    return f"<{type_name(value)}: cannot be read ({type_name(error)})>"


def summary(value: object) -> str:
    """A value in a few words, where there is no depth left to show it."""
    if type(value) in (dict, list, tuple, set, frozenset):
        return f"<{type_name(value)} of {len(value)}>"  # type: ignore[arg-type]
    return f"<{type_name(value)}>"


def public_fields(value: object, limit: int = 1000) -> list[tuple[object, object]] | None:
    """Fields of a dataclass, attrs, pydantic or msgspec object; None for any other object."""
    kind = type(value)
    for carrier, names in _FIELDS:
        declared = getattr(kind, carrier, None)
        if declared:
            return [(name, _field(value, name)) for name in itertools.islice(names(declared, value), limit)]
    return None


def _simplify(value: object, limit: int, room: int) -> object:
    kind = type(value)
    fields = public_fields(value, limit)
    if fields is not None:
        return Pairs(fields, len(fields))
    for base in kind.__mro__:
        reader = _BY_TYPE.get(base) or _BY_NAME.get((base.__module__, base.__name__))
        if reader is not None:
            return reader(value, limit, room)
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__") or hasattr(kind, "__await__"):
        return _named(value)  # reading it would take it from the user
    if hasattr(kind, "shape") and (hasattr(kind, "dtype") or hasattr(kind, "dtypes")):
        return f"<{type_name(value)} shape={tuple(value.shape)}>"  # type: ignore[attr-defined]
    if issubclass(kind, Mapping):
        return Pairs(list(itertools.islice(value.items(), limit)), len(value))  # type: ignore[attr-defined,arg-type]
    if issubclass(kind, (Sequence, Set, ValuesView)):
        return Items(list(itertools.islice(value, limit)), len(value))  # type: ignore[call-overload,arg-type]
    return _object(value, limit)


def _object(value: object, limit: int) -> object:
    kind = type(value)
    if kind.__repr__ is not object.__repr__:
        if type_name(value) in _NO_REPR:
            return f"<{type_name(value)}>"
        text = repr(value)
        # Addresses differ from run to run and say nothing.
        return _ADDRESS.sub("", text[:_MAX_REPR]) + ("..." if len(text) > _MAX_REPR else "")
    try:
        fields = dict(object.__getattribute__(value, "__dict__"))
    except AttributeError:
        fields = {}
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("_") and name not in fields:
                fields[name] = _field(value, name)
    shown = [(name, one) for name, one in fields.items() if isinstance(name, str) and name[:1] != "_"]
    return Pairs(shown[:limit], len(shown)) if shown else f"<{type_name(value)}>"


def _field(value: object, name: str) -> object:
    try:
        return getattr(value, name)
    except AttributeError:
        return "<not set>"
    except Exception as error:
        return unreadable(value, error)


# --- the fields of declared types, without the libraries that declare them --------------------------
def _dataclass_names(declared: Any, _: object) -> Iterable[str]:
    # repr=False is how an author keeps a secret or a heavy field out of sight.
    return (name for name, field in declared.items() if field.repr)


def _attrs_names(declared: Any, _: object) -> Iterable[str]:
    return (field.name for field in declared if field.repr is not False)


def _pydantic_names(declared: Any, value: object) -> Iterable[str]:
    extra = getattr(value, "__pydantic_extra__", None) or {}
    hidden = {name for name, field in declared.items() if field.repr is False or field.exclude}
    return (name for name in (*declared, *extra) if name not in hidden)


def _struct_names(declared: Any, _: object) -> Iterable[str]:
    return tuple(declared)


_FIELDS: Final[tuple[tuple[str, Callable[[Any, object], Iterable[str]]], ...]] = (
    ("__dataclass_fields__", _dataclass_names),
    ("__attrs_attrs__", _attrs_names),
    ("__pydantic_fields__", _pydantic_names),
    ("__struct_fields__", _struct_names),
)


# --- readers of known types -----------------------------------------------------------------------
def _named(value: object) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    return f"<{type_name(value)} {name}>" if isinstance(name, str) else f"<{type_name(value)}>"


def _text(value: Any, limit: int, room: int) -> object:
    # A subclass of str: its own characters, whatever its methods say.
    return str.__getitem__(value, slice(None))


def _printed(value: Any, limit: int, room: int) -> object:
    return str(value)


def _iso(value: Any, limit: int, room: int) -> object:
    return value.isoformat()


def _bytes(value: Any, limit: int, room: int) -> object:
    size = value.nbytes if isinstance(value, memoryview) else len(value)
    head = bytes(value[: max(room, _MAX_BASE64) + 4]) if size else b""
    try:
        # Text stays text, so that redaction can read it.
        text = head.decode() if size <= len(head) else _decode_head(head)
        return text if size <= len(head) else f"{text}...[cut {size - len(head)} of {size} bytes]"
    except UnicodeDecodeError:
        if size > _MAX_BASE64:
            return f"<{type_name(value)} of {size} bytes>"
        return "base64:" + base64.b64encode(head).decode()


def _decode_head(head: bytes) -> str:
    for end in range(len(head), len(head) - 4, -1):  # a character may be cut in two
        try:
            return head[:end].decode()
        except UnicodeDecodeError as error:
            failed = error
    raise failed


def _dict(value: Any, limit: int, room: int) -> object:
    return Pairs(list(itertools.islice(value.items(), limit)), len(value))


def _list(value: Any, limit: int, room: int) -> object:
    return Items(list(itertools.islice(value, limit)), len(value))


def _tuple(value: Any, limit: int, room: int) -> object:
    names = getattr(type(value), "_fields", None)
    if isinstance(names, tuple) and len(names) == len(value):
        return Pairs(list(zip(names, value, strict=True)), len(value))
    return _list(value, limit, room)


def _set(value: Any, limit: int, room: int) -> object:
    members = list(itertools.islice(value, limit))
    if all(type(one) is str for one in members) or all(type(one) in (int, float) for one in members):
        members.sort()  # their order differs from run to run
    return Items(members, len(value))


def _enum(value: Any, limit: int, room: int) -> object:
    return value.value


def _exception(value: Any, limit: int, room: int) -> object:
    return f"{type_name(value)}: {value}"


def _partial(value: Any, limit: int, room: int) -> object:
    return f"<functools.partial of {_named(value.func)}>"


def _numpy_scalar(value: Any, limit: int, room: int) -> object:
    plain = value.item()
    return str(value) if type(plain) is type(value) else plain  # longdouble has no Python counterpart


def _numpy_array(value: Any, limit: int, room: int) -> object:
    if value.size <= limit:
        return value.tolist()
    shown = min(limit, 100)
    pairs: list[tuple[object, object]] = [
        ("shape", list(value.shape)),
        ("dtype", str(value.dtype)),
        ("first", list(itertools.islice(value.flat, shown))),
    ]
    return Pairs(pairs, len(pairs))


def _hidden(value: Any, limit: int, room: int) -> object:
    return f"<{type_name(value)}>"


def _marker(value: Any, limit: int, room: int) -> object:
    return _named(value)


_Reader = Callable[[Any, int, int], object]

#: First match along the type's method resolution order.
_BY_TYPE: Final[dict[type, _Reader]] = {
    enum.Enum: _enum,
    bool: lambda value, limit, room: bool(value),
    str: _text,
    int: lambda value, limit, room: int.__int__(value),
    float: lambda value, limit, room: float.__float__(value),
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    dict: _dict,
    types.MappingProxyType: _dict,
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    collections.deque: _list,
    range: _list,
    datetime.datetime: _iso,
    datetime.date: _iso,
    datetime.time: _iso,
    datetime.timedelta: _printed,
    decimal.Decimal: _printed,
    fractions.Fraction: _printed,
    complex: _printed,
    uuid.UUID: _printed,
    pathlib.PurePath: _printed,
    BaseException: _exception,
    type: _marker,
    types.FunctionType: _marker,
    types.BuiltinFunctionType: _marker,
    types.MethodType: _marker,
    types.ModuleType: _marker,
    functools.partial: _partial,
}

_BY_NAME: Final[dict[tuple[str, str], _Reader]] = {
    ("numpy", "generic"): _numpy_scalar,
    ("numpy", "ndarray"): _numpy_array,
    ("os", "_Environ"): _hidden,  # the process's secrets
    ("unittest.mock", "NonCallableMock"): _hidden,
}
