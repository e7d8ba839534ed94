"""A bounded mapping that drops what was used the longest ago."""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterator, ValuesView
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class LruMap(Generic[KeyT, ValueT]):
    """A mapping of at most `max_size` items; setting one more drops the least recently used.

    Setting an item and `get` are uses; `peek`, `in` and iteration are not. Items come in the order of their last use,
    the latest at the end. It is for one thread: nothing here yields.
    """

    __slots__ = ("_items", "_max_size")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._items: dict[KeyT, ValueT] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[KeyT]:
        return iter(self._items)

    def __setitem__(self, key: KeyT, value: ValueT) -> None:
        self._items.pop(key, None)
        self._items[key] = value
        if len(self._items) > self._max_size:
            del self._items[next(iter(self._items))]

    def get(self, key: KeyT) -> ValueT | None:
        """Return the value of a key, or None. Counts as its use."""
        if key not in self._items:
            return None
        value = self._items[key] = self._items.pop(key)
        return value

    def peek(self, key: KeyT) -> ValueT | None:
        """Return the value of a key, or None. Does not count as its use."""
        return self._items.get(key)

    def pop(self, key: KeyT) -> ValueT | None:
        """Drop a key and return its value, or None."""
        return self._items.pop(key, None)

    def clear(self) -> None:
        self._items.clear()

    def values(self) -> ValuesView[ValueT]:
        """Return a view of the values."""
        return self._items.values()

    def items(self) -> ItemsView[KeyT, ValueT]:
        """Return a view of the items."""
        return self._items.items()
