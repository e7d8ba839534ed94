"""A library for bots and for the terminal: one name's line to a server, kept up, with nothing lost on the way.
It must not print, and must not know options, logs, or who reads its events.
"""

from gmessenger.client.events import (
    Accepted,
    CaughtUp,
    Closed,
    Connected,
    Deferred,
    Delivered,
    Joined,
    Left,
    LinkEvent,
    Lost,
    Missed,
    Notice,
    Opened,
    PresenceChanged,
    ReadElsewhere,
    Received,
    Rejected,
    SentElsewhere,
    TopicChanged,
)
from gmessenger.client.link import Link
from gmessenger.client.outbox import Message
from gmessenger.client.pages import Found, Results, Standing
from gmessenger.client.patience import Patience
from gmessenger.client.positions import fold
from gmessenger.client.tls import Tls
from gmessenger.wire.events import Card, Delivery

__all__ = [
    "Accepted",
    "Card",
    "CaughtUp",
    "Closed",
    "Connected",
    "Deferred",
    "Delivered",
    "Delivery",
    "Found",
    "Joined",
    "Left",
    "Link",
    "LinkEvent",
    "Lost",
    "Message",
    "Missed",
    "Notice",
    "Opened",
    "Patience",
    "PresenceChanged",
    "ReadElsewhere",
    "Received",
    "Rejected",
    "Results",
    "SentElsewhere",
    "Standing",
    "Tls",
    "TopicChanged",
    "fold",
]
