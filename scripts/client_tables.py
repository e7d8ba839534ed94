"""Write the tables of docs/client.md, from the library's docstrings: `python -m scripts.client_tables`."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from math import isinf
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from gmessenger.client import ChatEvent, Client, Timeouts, config

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "client.md"


def event_rows() -> Iterator[str]:
    """Yield the table of events: its head, then a row for each."""
    yield "| event | what it tells |\n|---|---|\n"
    for event in get_args(ChatEvent):
        fields = ", ".join(field.name for field in msgspec.structs.fields(event))
        yield f"| `{event.__name__}({fields})` | {flat(event.__doc__)} |\n"


def method_rows() -> Iterator[str]:
    """Yield the table of the client's public methods and properties: its head, then a row for each."""
    yield "| call | what it does |\n|---|---|\n"
    for class_ in Client.__mro__:
        for name, member in vars(class_).items():
            if not name.startswith("_") and member.__doc__:
                yield f"| `{name}{parameters(member)}` | {flat(member.__doc__)} |\n"


def parameters(member: Any) -> str:
    """Return the parameters of a method, without types; nothing for a property."""
    if isinstance(member, property):
        return ""
    _, *others = inspect.signature(member).parameters.values()
    names = (other.name + ("" if other.default is other.empty else f"={other.default!r}") for other in others)
    return f"({', '.join(names)})"


def timeout_rows() -> Iterator[str]:
    """Yield the table of timeouts: its head, then a row for each field with its docstring."""
    yield "| | seconds | how long it waits for |\n|---|---|---|\n"
    (body,) = (
        node.body
        for node in ast.parse(inspect.getsource(config)).body
        if isinstance(node, ast.ClassDef) and node.name == Timeouts.__name__
    )
    descriptions = {
        node.target.id: following.value.value
        for node, following in zip(body, [*body[1:], None], strict=True)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
    }
    for field in dataclasses.fields(Timeouts):
        seconds: Any = field.default
        shown = "for ever" if isinf(seconds) else f"{seconds:g}"
        yield f"| `{field.name}` | {shown} | {flat(str(descriptions.get(field.name, '')))} |\n"


def flat(text: str | None) -> str:
    """Return a docstring on one line."""
    return " ".join((text or "").split())


def with_tables(text: str) -> str:
    """Return the document with its tables updated, each under its heading. Raises ValueError."""
    for heading, rows in (("Events", event_rows()), ("Calls", method_rows()), ("Timeouts", timeout_rows())):
        table = "".join(rows)
        found = re.search(rf"^## {heading}\n(?:[^|#\n].*\n|\n)*((?:\|.*\n)+)", text, re.MULTILINE)
        if found is None:
            raise ValueError(f"{DOCUMENT} has no table under {heading!r}")
        text = text[: found.start(1)] + table + text[found.end(1) :]
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8")), "utf-8")
