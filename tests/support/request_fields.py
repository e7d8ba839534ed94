"""Requests with every plausible set of fields, made from the types of their rows, so that new ones are covered."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    Field,
    FloatType,
    IntType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
)

from gmessenger.names import MAX_RAW_NAME
from tests.support.course_clients import Frame

OMITTED: Final = object()
TEXTS: Final[dict[str, tuple[str, ...]]] = {"message": ("hello", "\N{THUMBS UP SIGN}", "x" * 5000)}
"""Values of strings that are not names, by field; of others, one word."""
RULES: Final[tuple[Frame, ...]] = ({}, {"hidden": False}, {"invited": True, "hidden": True}, {"colour": "red"})


def fields_of(request: type, names: Iterable[str]) -> Iterator[Frame]:
    """Yield the frames of a request, without id; each field that holds a name has each of `names`."""
    info = msgspec.inspect.type_info(request)
    assert isinstance(info, StructType)
    keys = [field.encode_name for field in info.fields if field.encode_name != "id"]
    values = [_values(field, tuple(names)) for field in info.fields if field.encode_name != "id"]
    for chosen in itertools.product(*values):
        given = {key: value for key, value in zip(keys, chosen, strict=True) if value is not OMITTED}
        yield {"action": info.tag, **given}


def _values(field: Field, names: tuple[str, ...]) -> list[Any]:
    return [*([] if field.required else [OMITTED]), *_values_of(field.encode_name, field.type, names)]


def _values_of(key: str, kind: Type, names: tuple[str, ...]) -> list[Any]:
    match kind:
        case UnionType():
            parts = [part for part in kind.types if not isinstance(part, NoneType)]
            return [value for part in parts for value in _values_of(key, part, names)]
        case LiteralType():
            return list(kind.values)
        case StrType(max_length=length):
            return list(names) if length == MAX_RAW_NAME else list(TEXTS.get(key, ("hello",)))
        case BoolType():
            return [True]
        case IntType():
            return [1, 99]
        case FloatType():
            return [60.0]
        case DictType():
            return list(RULES)
        case StructType():
            return [{}, *({"notify": {name: {"level": "none"}}} for name in names)] if key == "set" else [{}]
        case _:
            raise AssertionError(f"no values for the type of {key}: {kind}")
