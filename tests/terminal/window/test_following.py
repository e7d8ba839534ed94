"""What the line tells goes into the book, also when it comes back to a server that counts anew."""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.client import Accepted
from tests.client.conftest import Owner
from tests.conftest import RunningServer
from tests.terminal.window.seats import Seat


def test_what_comes_to_a_guests_next_session_is_shown_though_its_numbers_begin_anew(
    server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner]
) -> None:
    dale = link("dale")
    hank = seat(server, "hank")
    for text in ("one", "two"):
        dale.link.send("hank", text)
    hank.until(lambda: hank.book.find("dale") is not None and hank.book.open("dale").latest == 2)
    hank.link._upkeep._connection.fail(OSError("the cable was pulled"))  # type: ignore[union-attr]
    hank.until(lambda: hank.book.line.state == "lost")
    hank.until(lambda: hank.book.line.state == "connected")
    dale.link.send("hank", "three")
    assert dale.next(Accepted).answer.seq is not None
    dale.link.send("hank", "four")
    hank.until(lambda: any(entry.text == "four" for entry in hank.book.open("dale").entries))
    said = [entry.text for entry in hank.book.open("dale").entries if entry.sender]
    assert said == ["one", "two", "three", "four"]
    assert hank.book.open("dale").unread == 4
