"""How far one has read, from here to the other devices and back."""

from typing import Any

import gevent

from gmessenger.client import Client, Connected, MessageReceived, ReadMarkerMoved
from tests.client.conftest import IMPATIENT, Owner
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT, FakeServer


def test_what_was_read_is_said_now_and_on_the_next_line(fake: FakeServer, make: Any) -> None:
    owner = make()
    starting = gevent.spawn(owner.link.start)
    peer = fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    owner.link.mark_read("dale", 6)
    assert peer.receive() == {"action": "read", "with": "dale", "seq": 6}
    owner.link.mark_read("Dale", 7)
    assert peer.receive() == {"action": "read", "with": "Dale", "seq": 7}
    peer.restart()
    peer = fake.accept_and_log_in(account=True)
    assert peer.receive() == {"action": "read", "with": "Dale", "seq": 7}
    peer.send({"action": "read", "with": "#dev", "seq": 3})
    assert owner.next(ReadMarkerMoved) == ReadMarkerMoved("#dev", 3)


def test_the_other_device_hears_of_it(server: RunningServer) -> None:
    desk = Client(server.host, server.port, "hank", device="desk", timeouts=IMPATIENT)
    desk.start()
    desk.register("correct horse")
    phone = Client(server.host, server.port, "hank", device="phone", password="correct horse", timeouts=IMPATIENT)
    phone.start()
    owner = Owner(desk)
    owner.next(Connected)
    phone.send("hank", "a note to myself")
    assert phone.flush(TIMEOUT) == 0
    phone.mark_read("hank", 1)
    assert owner.next(ReadMarkerMoved) == ReadMarkerMoved("hank", 1)
    desk.close(), phone.close()


def test_who_only_sends_is_sent_nothing_and_owes_nothing(server: RunningServer) -> None:
    desk = Client(server.host, server.port, "hank", device="desk", timeouts=IMPATIENT)
    desk.start()
    desk.register("correct horse")
    desk.close()
    heard: list[str] = []
    for receiving in (False, True):
        cron = Client(
            server.host,
            server.port,
            "hank",
            device="cron",
            password="correct horse",
            receive_messages=receiving,
            timeouts=IMPATIENT,
        )
        cron.start()
        if not receiving:
            dale = Client(server.host, server.port, "dale", timeouts=IMPATIENT)
            dale.start()
            dale.send("hank", "live")
            assert dale.flush(TIMEOUT) == 0
            dale.close()
            cron.send("dale", "from cron")  # its answer comes behind what was to come
            assert cron.flush(TIMEOUT) == 0
            cron.close()
            heard += [event.delivery.message for event in cron if isinstance(event, MessageReceived)]
            assert heard == []
        else:
            assert Owner(cron).next(MessageReceived).delivery.message == "live"
            cron.close()
