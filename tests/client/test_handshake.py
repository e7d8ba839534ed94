"""The handshake: logins that succeed, are refused, or get no response."""

import socket
from typing import Any

import gevent
import pytest

from gmessenger.client import Client, Connected, Timeouts
from gmessenger.client import connection as client_connection
from gmessenger.errors import ExitError, InsecureTransport, Refused, Unreachable
from tests.client.conftest import SHORT_TIMEOUTS, Begin, Reader
from tests.support.scripted_server import TIMEOUT, FakeServer


def started(reader: Reader) -> gevent.Greenlet:
    return gevent.spawn(reader.client.start)


def failure(starting: gevent.Greenlet) -> ExitError:
    with pytest.raises(ExitError) as caught:
        starting.get(timeout=TIMEOUT)
    return caught.value


def test_presence_and_greeting(fake: FakeServer, make: Any) -> None:
    reader = make()
    starting = started(reader)
    connection = fake.accept()
    assert connection.accept_login(greeting="Hello there.") == {
        "action": "presence",
        "jim": 2,
        "user": {"account_name": "hank"},
    }
    starting.get(timeout=TIMEOUT)
    event = reader.next(Connected)
    assert (event.greeting, event.server, event.reconnected) == ("Hello there.", "fake/1", False)
    assert reader.client.connected
    assert reader.client.limits["text"] == 16_384


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable, match=rf"^Cannot reach 127\.0\.0\.1:{port}: Connection refused\.$"):
        Client("127.0.0.1", port, "hank").start()


@pytest.mark.parametrize(
    ("host", "place"),
    [("no-such-host.invalid", "no-such-host.invalid:7777"), ("a..b", "a..b:7777"), ("a" * 80, "a" * 80 + ":7777")],
)
def test_no_such_host(host: str, place: str) -> None:
    with pytest.raises(Unreachable, match=place):
        Client(host, 7777, "hank", timeouts=Timeouts(connect=2)).start()


def test_an_ipv6_place_is_written_with_brackets() -> None:
    with pytest.raises(Unreachable, match=r"Cannot reach \[::1\]:1: "):
        Client("::1", 1, "hank").start()


def test_a_server_that_says_nothing(fake: FakeServer, make: Any) -> None:
    starting = started(make(connect=0.1))
    connection = fake.accept()
    assert str(failure(starting)).endswith("connected, but no answer within 0.1 s.")
    connection.expect("presence")
    connection.expect_closed()


def test_a_server_that_never_ends_its_answer_is_given_up(fake: FakeServer, make: Any) -> None:
    starting = started(make(connect=0.3))
    connection = fake.accept()
    connection.send_bytes(b'{"response":200')

    def drip() -> None:
        while not starting.ready():
            connection.send_bytes(b" ")
            gevent.sleep(0.02)

    dripping = gevent.spawn(drip)
    assert str(failure(starting)).endswith("connected, but no answer within 0.3 s.")
    dripping.kill()


@pytest.mark.parametrize(
    "banner",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b'{"response":200,"responce":200,"time":1.0,"alert":"OK"}\n',
        b'{"response": 200}',
        b'{"response": 400, "error": "Bad Request"}',
        b'{"response":400,"time":1.0,"error":"Bad Request"}\n',
    ],
)
def test_a_server_of_another_kind_is_shown_with_its_answer(fake: FakeServer, make: Any, banner: bytes) -> None:
    starting = started(make())
    fake.accept().send_bytes(banner)
    error = failure(starting)
    assert isinstance(error, Unreachable)
    line = banner.decode().splitlines()[0]
    assert str(error).endswith(f"this server does not speak JIM 2; it answered {line}.")


def test_a_server_of_another_kind_that_closes_without_a_newline(fake: FakeServer, make: Any) -> None:
    starting = started(make())
    connection = fake.accept()
    connection.expect("presence")
    connection.send_bytes(b"HTTP/1.1 400 Bad Request")
    connection.close()
    assert "does not speak JIM 2; it answered HTTP/1.1 400 Bad Request" in str(failure(starting))


def test_a_slow_server_may_send_its_newline_later(fake: FakeServer, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmessenger.client.handshake.NEWLINE_TIMEOUT", 0.1)
    starting = started(make())
    connection = fake.accept()
    connection.expect("presence")
    connection.send_bytes(b'{"response":200,"jim":2,"account":false,"session":"s","server":"fake/1","time":1.0')
    gevent.sleep(0.2)  # half a frame may take as long as it likes
    connection.send_bytes(b',"limits":{"frame":65536,"text":16384}}\n')
    starting.get(timeout=TIMEOUT)


def test_a_foreign_answer_is_cut(fake: FakeServer, make: Any) -> None:
    starting = started(make())
    fake.accept().send_bytes(b"220 " + b"x" * 5000 + b"\r\n")
    assert str(failure(starting)).endswith("x….")


@pytest.mark.parametrize(
    ("response", "code", "kind", "exit_code"),
    [
        (400, "bad_name", Refused, 77),
        (401, "not_logged_in", Refused, 77),
        (402, "wrong_password", Refused, 77),
        (403, "guests_refused", Refused, 77),
        (409, "name_in_use", Refused, 77),
        (499, "of_a_later_version", Refused, 77),
        (429, "too_many_failures", Unreachable, 69),
        (503, "server_full", Unreachable, 69),
        (500, "internal_error", Unreachable, 69),
    ],
)
def test_turned_away(
    fake: FakeServer, make: Any, response: int, code: str, kind: type[ExitError], exit_code: int
) -> None:
    starting = started(make())
    fake.accept().reject_login(response, code, "For a reason of its own.")
    error = failure(starting)
    assert type(error) is kind
    assert error.exit_code == exit_code
    assert str(error).lower().endswith("for a reason of its own.")


def test_a_name_that_cannot_be_sent(fake: FakeServer) -> None:
    gevent.spawn(fake.accept)
    with pytest.raises(Refused, match="name"):
        Client(fake.host, fake.port, "h\udcffnk").start()


def test_closing_says_goodbye(begin: Begin) -> None:
    reader, connection = begin()
    reader.client.close()
    assert connection.receive() == {"action": "quit"}
    connection.expect_closed()
    assert reader.wait_for_end() is None
    reader.client.close()


def test_closing_before_a_word_was_said(make: Any, fake: FakeServer) -> None:
    reader = make()
    reader.client.close()
    with pytest.raises(Unreachable, match="closed"):
        reader.client.send("dale", "hi")


def test_a_changed_password_is_used_from_then_on(fake: FakeServer) -> None:
    reader = Reader(Client(fake.host, fake.port, "hank", password="old horse", timeouts=SHORT_TIMEOUTS))
    starting = started(reader)
    connection = fake.accept()
    assert connection.accept_login(account=True)["user"]["password"] == "old horse"
    starting.get(timeout=TIMEOUT)
    changing = gevent.spawn(reader.client.change_password, "old horse", "new horse")
    request = connection.expect("password")
    assert (request["old"], request["new"]) == ("old horse", "new horse")
    connection.respond(request, 200)
    changing.get(timeout=TIMEOUT)
    connection.restart()
    connection = fake.accept()
    connection.reject_login(401, "password_needed", "This name is an account.")
    assert connection.accept_login(account=True)["user"]["password"] == "new horse"
    reader.client.close()


def test_logging_out_ends_the_client_without_an_error(fake: FakeServer) -> None:
    reader = Reader(Client(fake.host, fake.port, "hank", password="a horse", timeouts=SHORT_TIMEOUTS))
    starting = started(reader)
    connection = fake.accept()
    connection.accept_login(account=True)
    starting.get(timeout=TIMEOUT)
    leaving = gevent.spawn(reader.client.log_out)
    connection.respond(connection.expect("devices"), 200, devices=[{"device": "default", "used": 1.0, "this": True}])
    request = connection.expect("drop")
    assert request["device"] == "default"
    connection.respond(request, 200)
    connection.send({"response": 401, "code": "password_needed", "error": "This name is an account.", "time": 1.0})
    connection.close()
    leaving.get(timeout=TIMEOUT)
    assert reader.wait_for_end() is None


def test_a_password_is_not_changed_over_a_connection_that_others_can_read(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "_is_loopback", lambda host: False)
    reader = Reader(Client(fake.host, fake.port, "hank", timeouts=SHORT_TIMEOUTS))
    starting = started(reader)
    fake.accept().accept_login()
    starting.get(timeout=TIMEOUT)
    with pytest.raises(InsecureTransport):
        reader.client.change_password("old horse", "new horse")
    reader.client.close()
