"""How far one has read, from here to the other devices and back."""

from typing import Any

import gevent

from gmessenger.client import Connected, Link, ReadElsewhere, Received
from tests.client.conftest import IMPATIENT, Owner
from tests.client.fake_server import TIMEOUT, FakeServer
from tests.conftest import RunningServer


def test_what_was_read_is_said_now_and_on_the_next_line(fake: FakeServer, make: Any) -> None:
    owner = make()
    starting = gevent.spawn(owner.link.start)
    peer = fake.enter(account=True)
    starting.get(timeout=TIMEOUT)
    owner.link.read("dale", 6)
    assert peer.read() == {"action": "read", "with": "dale", "seq": 6}
    owner.link.read("Dale", 7)
    assert peer.read() == {"action": "read", "with": "Dale", "seq": 7}
    peer.restart()
    peer = fake.enter(account=True)
    assert peer.read() == {"action": "read", "with": "Dale", "seq": 7}
    peer.send({"action": "read", "with": "#dev", "seq": 3})
    assert owner.next(ReadElsewhere) == ReadElsewhere("#dev", 3)


def test_the_other_device_hears_of_it(server: RunningServer) -> None:
    desk = Link(server.host, server.port, "hank", device="desk", patience=IMPATIENT)
    desk.start()
    desk.register("correct horse")
    phone = Link(server.host, server.port, "hank", device="phone", password="correct horse", patience=IMPATIENT)
    phone.start()
    owner = Owner(desk)
    owner.next(Connected)
    phone.send("hank", "a note to myself")
    assert phone.flush(TIMEOUT) == 0
    phone.read("hank", 1)
    assert owner.next(ReadElsewhere) == ReadElsewhere("hank", 1)
    desk.close(), phone.close()


def test_who_only_sends_is_sent_nothing_and_owes_nothing(server: RunningServer) -> None:
    desk = Link(server.host, server.port, "hank", device="desk", patience=IMPATIENT)
    desk.start()
    desk.register("correct horse")
    desk.close()
    heard: list[str] = []
    for receiving in (False, True):
        cron = Link(
            server.host,
            server.port,
            "hank",
            device="cron",
            password="correct horse",
            receiving=receiving,
            patience=IMPATIENT,
        )
        cron.start()
        if not receiving:
            dale = Link(server.host, server.port, "dale", patience=IMPATIENT)
            dale.start()
            dale.send("hank", "live")
            assert dale.flush(TIMEOUT) == 0
            dale.close()
            cron.send("dale", "from cron")  # its answer comes behind what was to come
            assert cron.flush(TIMEOUT) == 0
            cron.close()
            heard += [event.delivery.message for event in cron if isinstance(event, Received)]
            assert heard == []
        else:
            assert Owner(cron).next(Received).delivery.message == "live"
            cron.close()
