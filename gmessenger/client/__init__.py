"""The client library, for bots and the terminal client: one session that reconnects, resends and loses nothing."""

from gmessenger.account_settings import AccountSettings, NotifySetting, SettingsChange
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
    SettingsChanged,
    Synced,
    TopicChanged,
)
from gmessenger.client.responses import (
    ConversationInfo,
    History,
    OwnDevice,
    RoomInfo,
    SanctionInfo,
    SearchHit,
    SearchResults,
)
from gmessenger.client.sender import OutgoingMessage
from gmessenger.names import fold
from gmessenger.wire.events import MessageEvent, UserInfo

__all__ = [
    "Accepted",
    "AccountSettings",
    "ChatEvent",
    "Client",
    "Connected",
    "ConversationInfo",
    "Deferred",
    "Disconnected",
    "GapDetected",
    "History",
    "MemberJoined",
    "MemberLeft",
    "MessageDelivered",
    "MessageEvent",
    "MessageReceived",
    "MessageSentElsewhere",
    "Notice",
    "NotifySetting",
    "OutgoingMessage",
    "OwnDevice",
    "PresenceChanged",
    "ReadMarkerMoved",
    "Rejected",
    "RoomClosedByOperator",
    "RoomInfo",
    "RoomReopened",
    "SanctionInfo",
    "SearchHit",
    "SearchResults",
    "SettingsChange",
    "SettingsChanged",
    "Synced",
    "Timeouts",
    "TlsConfig",
    "TopicChanged",
    "UserInfo",
    "fold",
]
