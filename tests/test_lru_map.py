"""The bounded mapping keeps what was used last."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from gmessenger.lru_map import LruMap

KEYS = st.integers(0, 6)
STEPS = st.lists(st.tuples(st.sampled_from(("set", "get", "peek", "pop")), KEYS), max_size=60)


def test_the_least_recently_used_is_dropped() -> None:
    lru: LruMap[str, int] = LruMap(2)
    lru["a"], lru["b"] = 1, 2
    assert lru.get("a") == 1
    lru["c"] = 3
    assert list(lru) == ["a", "c"] and "b" not in lru


def test_setting_a_key_again_is_a_use_and_drops_nothing() -> None:
    lru: LruMap[str, int] = LruMap(2)
    lru["a"], lru["b"], lru["a"] = 1, 2, 3
    assert list(lru.items()) == [("b", 2), ("a", 3)]


def test_looking_is_no_use() -> None:
    lru: LruMap[str, int] = LruMap(2)
    lru["a"], lru["b"] = 1, 2
    assert "a" in lru and lru.peek("a") == 1 and list(lru.values()) == [1, 2]
    lru["c"] = 3
    assert list(lru) == ["b", "c"]


def test_none_is_a_value_too() -> None:
    lru: LruMap[str, None] = LruMap(2)
    lru["a"] = lru["b"] = None
    assert lru.get("a") is None and list(lru) == ["b", "a"]


def test_it_can_be_cleared() -> None:
    lru: LruMap[str, int] = LruMap(2)
    lru["a"] = 1
    lru.clear()
    assert len(lru) == 0 and lru.pop("a") is None


@given(STEPS, st.integers(1, 4))
def test_it_is_a_dict_in_the_order_of_use(steps: list[tuple[str, int]], size: int) -> None:
    lru, model = LruMap[int, int](size), OrderedDict[int, int]()
    for number, (step, key) in enumerate(steps):
        if step == "set":
            lru[key] = model[key] = number
            model.move_to_end(key)
            if len(model) > size:
                model.popitem(last=False)
        elif step == "pop":
            assert lru.pop(key) == model.pop(key, None)
        elif step == "peek":
            assert lru.peek(key) == model.get(key)
        else:
            assert lru.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert list(lru.items()) == list(model.items()) and len(lru) <= size
