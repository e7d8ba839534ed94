"""Names that could be mistaken for one another: of two scripts, or of letters and digits that look the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from gmessenger.errors import NameConfusable
from gmessenger.identifiers import skeleton
from gmessenger.names import fold

NameGroup: TypeAlias = tuple[str, ...]


def are_confusable(one: str, other: str) -> bool:
    """Whether two names look the same as they are shown, both in small letters, or in capitals where one is.

    (Not one in its small letters and the other as it is shown: Ian would be mistaken for an account Lan.)
    """
    if skeleton(one) == skeleton(other) or skeleton(fold(one)) == skeleton(fold(other)):
        return True
    return (one.isupper() or other.isupper()) and skeleton(one.upper()) == skeleton(other.upper())


class ConfusableIndex:
    """A set of names, in which those that look like another are found in a few looks, however many there are."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        # By the hash of a skeleton: matches are compared anyway, and there may be a hundred thousand accounts.
        self._names: dict[int, str | NameGroup] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Put a name in, as it is shown."""
        for form in _index_forms(name):
            there = self._names_under(form)
            if name not in there:
                self._names[form] = (*there, name) if there else name

    def discard(self, name: str) -> None:
        """Take a name out."""
        for form in _index_forms(name):
            left = tuple(each for each in self._names_under(form) if each != name)
            if len(left) > 1:
                self._names[form] = left
            elif left:
                self._names[form] = left[0]
            else:
                self._names.pop(form, None)

    def find(self, name: str) -> str | None:
        """A name of the set that `name` could be mistaken for and that is not the same."""
        for form in _query_forms(name):
            for other in self._names_under(form):
                if fold(other) != fold(name) and are_confusable(name, other):
                    return other
        return None

    def check(self, name: str) -> None:
        """Raises `NameConfusable`."""
        if (other := self.find(name)) is not None:
            raise NameConfusable(f"The name {name} looks too much like {other}, which is taken.")

    def _names_under(self, form_hash: int) -> NameGroup:
        found = self._names.get(form_hash, ())
        return (found,) if isinstance(found, str) else found


def _index_forms(name: str) -> set[int]:
    """Under what a name is found."""
    small = fold(name)
    if name.isascii():
        return {hash(skeleton(name))} if small == name else {hash(skeleton(name)), hash(skeleton(small))}
    return {hash(skeleton(form)) for form in (name, small, name.upper())}


def _query_forms(name: str) -> set[int]:
    """Under what a name that looks like this one may be found; in small letters also where this is in capitals."""
    seen = skeleton(name)
    return {hash(seen), *(hash(skeleton(form)) for form in (fold(name), name.upper(), fold(seen)))}
