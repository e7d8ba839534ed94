"""The client library, for bots and the terminal client: one session that reconnects, resends and loses nothing."""

from gmessenger.client.client import Client
from gmessenger.client.config import Timeouts, TlsConfig
from gmessenger.client.events import (
    Accepted,
    ChatEvent,
    Connected,
    Deferred,
    Disconnected,
    GapDetected,
    MemberJoined,
    MemberLeft,
    MessageDelivered,
    MessageReceived,
    MessageSentElsewhere,
    Notice,
    PresenceChanged,
    ReadMarkerMoved,
    Rejected,
    RoomClosedByOperator,
    RoomReopened,
    Synced,
    TopicChanged,
)
from gmessenger.client.responses import ConversationInfo, RoomInfo, SanctionInfo, SearchHit, SearchResults
from gmessenger.client.sender import OutgoingMessage
from gmessenger.names import fold
from gmessenger.wire.events import MessageEvent, UserInfo

__all__ = [
    "Accepted",
    "ChatEvent",
    "Client",
    "Connected",
    "ConversationInfo",
    "Deferred",
    "Disconnected",
    "GapDetected",
    "MemberJoined",
    "MemberLeft",
    "MessageDelivered",
    "MessageEvent",
    "MessageReceived",
    "MessageSentElsewhere",
    "Notice",
    "OutgoingMessage",
    "PresenceChanged",
    "ReadMarkerMoved",
    "Rejected",
    "RoomClosedByOperator",
    "RoomInfo",
    "RoomReopened",
    "SanctionInfo",
    "SearchHit",
    "SearchResults",
    "Synced",
    "Timeouts",
    "TlsConfig",
    "TopicChanged",
    "UserInfo",
    "fold",
]
