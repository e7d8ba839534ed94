"""Text of other users: no control character of it reaches the terminal."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.client import (
    Accepted,
    Connected,
    Deferred,
    Disconnected,
    MessageEvent,
    Notice,
    OutgoingMessage,
    PresenceChanged,
    Rejected,
)
from gmessenger.sanitize import sanitize, unicode16
from gmessenger.terminal import format_events, format_results
from gmessenger.wire.events import ResponseFrame, UserInfo


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("Привет, 小林さん, हिन्दी 👍", "Привет, 小林さん, हिन्दी 👍"),
        ("\x00\x07\x08\r", "^@^G^H^M"),
        ("\x1b[31mred\x1b[0m", "^[[31mred^[[0m"),
        ("\x1b]0;title\x07", "^[]0;title^G"),
        ("\x7f", "^?"),
        ("\x9b31m\x85\x80", "<9b>31m<85><80>"),
        ("a\tb", "a    b"),
        ("two\nlines", "two^Jlines"),
        ("\u2028\u2029", "  "),
        ("\u202egnp.exe\u202c", "<202e>gnp.exe<202c>"),
        ("\u202a\u202b\u202d", "<202a><202b><202d>"),
        ("\u2066\u2067\u2068\u2069", "<2066><2067><2068><2069>"),
        ("\u200b\u200e\u200f\u061c\ufeff\u00ad\u2060", ""),
        ("👨\u200d👩\u200d👧 می\u200cخواهم", "👨\u200d👩\u200d👧 می\u200cخواهم"),
        ("\ud83d", "<d83d>"),
        ("\ue000\U000f0000", "<e000><f0000>"),
        ("\uffff\u0378\U000e0080", "<ffff><378><e0080>"),
        ("\U0001fae8", "\U0001fae8"),  # newer than Python 3.11's own tables
        ("\u00a0\u3000", "\u00a0\u3000"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert sanitize(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_dangerous_is_left(text: str) -> None:
    shown = sanitize(text)
    assert sanitize(shown) == shown
    for char in shown:
        assert unicode16.category(char) not in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert unicode16.category(char) != "Cf" or char in "\u200c\u200d"


def delivery(text: str, to: str = "hank", sender: str = "dale", at: float = 0.0, **more: bool) -> MessageEvent:
    return MessageEvent(sender=sender, to=to, time=at, message=text, **more)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (delivery("hi"), "dale: hi"),
        (delivery("hi", to="#dev"), "#dev dale: hi"),
        (delivery("hi", broadcast=True), "dale (to all): hi"),
        (delivery("one\ntwo\r\n[12:00] boss: three"), "dale: one\n        two\n        [12:00] boss: three"),
        (delivery("x", sender="da\x1ble", to="#\x1b"), "#^[ da^[le: x"),
        (delivery(""), "dale: "),
    ],
)
def test_messages(message: MessageEvent, shown: str) -> None:
    assert re.sub(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d\] ", "", format_events.format_message(message)) == shown


def test_the_day_is_said_unless_it_is_today() -> None:
    assert re.fullmatch(r"\[\d\d:\d\d\] dale: hi", format_events.format_message(delivery("hi", at=time.time())))
    assert re.match(r"\[\d{4}-", format_events.format_message(delivery("hi", at=time.time() - 90_000)))


@pytest.mark.parametrize("at", [1e300, -1e300, float("inf"), float("nan")])
def test_a_time_that_is_none(at: float) -> None:
    assert format_events.format_message(delivery("hi", at=at)) == "[--:--] dale: hi"


TEXT = OutgoingMessage("m1", "da\x1ble", "hi\n" + "x" * 100, b"")


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Connected("gm\x1b/1", "Be\nkind\x1b.", {}, reconnected=False), "Connected to gm^[/1.\nBe\nkind^[."),
        (Connected("gm/1", "Be kind.", {}, reconnected=True), "-- connected again"),
        (Disconnected("it\x1b is\nover", 0.84, 1), "-- connection lost: it^[ is^Jover; trying again in 0.8 s"),
        (Disconnected("still", 29.6, 8), "-- connection lost: still; trying again in 30 s"),
        (Disconnected("still", 29.6, 7), None),
        (Accepted(TEXT, ResponseFrame(202)), "-- sent to da^[le"),
        (
            Rejected(TEXT, ResponseFrame(410, error="Gone\x1b.")),
            f"-- not sent to da^[le: Gone^[. The text was: hi^J{'x' * 37}…",
        ),
        (Deferred(TEXT, "Busy\x1b.", 1.0), "-- not sent to da^[le yet: Busy^[. Trying again."),
        (PresenceChanged("da\x1ble", "online"), "-- da^[le is here"),
        (PresenceChanged("dale", "offline"), "-- dale has left"),
        (PresenceChanged("dale", "out\x1b"), "-- dale is out^["),
        (Notice("No\x1b."), "-- the server says: No^[."),
    ],
)
def test_events_in_words(event: object, shown: str | None) -> None:
    assert format_events.format_event(event) == shown  # type: ignore[arg-type]


def test_users() -> None:
    present = [UserInfo("da\x1ble", status="online"), UserInfo("hank", status="away\x1b"), UserInfo("x")]
    assert format_results.users(present, "hank") == "-- 3 here:\n   da^[le\n   hank (away^[, you)\n   x"


def test_codes_of_bold_and_colours_are_not_shown() -> None:
    text = "\x02bold\x0f \x0304,12red\x03 \x04ff00AAhex\x04 \x1ditalic\x1d 5\x033"
    assert format_events.format_message(delivery(text)).endswith("dale: bold red hex italic 5")
