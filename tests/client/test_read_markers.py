"""Read markers, between the devices of an account."""

from typing import Any

import gevent

from gmessenger.client import Client, Connected, MessageReceived, ReadMarkerMoved
from tests.client.conftest import SHORT_TIMEOUTS, Reader
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT, FakeServer


def test_what_was_read_is_said_now_and_on_the_next_line(fake: FakeServer, make: Any) -> None:
    reader = make()
    starting = gevent.spawn(reader.client.start)
    connection = fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    reader.client.mark_read("dale", 6)
    assert connection.receive() == {"action": "read", "with": "dale", "seq": 6}
    reader.client.mark_read("Dale", 7)
    assert connection.receive() == {"action": "read", "with": "Dale", "seq": 7}
    connection.restart()
    connection = fake.accept_and_log_in(account=True)
    assert connection.receive() == {"action": "read", "with": "Dale", "seq": 7}
    connection.send({"action": "read", "with": "#dev", "seq": 3})
    assert reader.next(ReadMarkerMoved) == ReadMarkerMoved("#dev", 3)


def test_the_other_device_hears_of_it(server: RunningServer) -> None:
    desk = Client(server.host, server.port, "hank", device="desk", timeouts=SHORT_TIMEOUTS)
    desk.start()
    desk.register("correct horse")
    phone = Client(server.host, server.port, "hank", device="phone", password="correct horse", timeouts=SHORT_TIMEOUTS)
    phone.start()
    reader = Reader(desk)
    reader.next(Connected)
    phone.send("hank", "a note to myself")
    assert phone.flush(TIMEOUT) == 0
    phone.mark_read("hank", 1)
    assert reader.next(ReadMarkerMoved) == ReadMarkerMoved("hank", 1)
    desk.close(), phone.close()


def test_who_only_sends_is_sent_nothing_and_owes_nothing(server: RunningServer) -> None:
    desk = Client(server.host, server.port, "hank", device="desk", timeouts=SHORT_TIMEOUTS)
    desk.start()
    desk.register("correct horse")
    desk.close()
    received: list[str] = []
    for receiving in (False, True):
        cron = Client(
            server.host,
            server.port,
            "hank",
            device="cron",
            password="correct horse",
            receive_messages=receiving,
            timeouts=SHORT_TIMEOUTS,
        )
        cron.start()
        if not receiving:
            dale = Client(server.host, server.port, "dale", timeouts=SHORT_TIMEOUTS)
            dale.start()
            dale.send("hank", "live")
            assert dale.flush(TIMEOUT) == 0
            dale.close()
            cron.send("dale", "from cron")  # its answer comes behind what was to come
            assert cron.flush(TIMEOUT) == 0
            cron.close()
            received += [event.delivery.message for event in cron if isinstance(event, MessageReceived)]
            assert received == []
        else:
            assert Reader(cron).next(MessageReceived).delivery.message == "live"
            cron.close()
