"""Values that several packages must agree on and that belong to none of them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

DEFAULT_PORT: Final = 7777
DEFAULT_TLS_PORT: Final = 7778
MIN_PASSWORD_BYTES: Final = 8
"""What a new password has at least, unless an option says otherwise."""
DEFAULT_IRC_TLS_PORT: Final = 6697
"""The port for IRC over TLS beside `--irc-port` (RFC 7194)."""
IRC_ON_WEB: Final = "web"
"""The value of `--irc-websocket` for the place of `--web`."""
IRC_PATH: Final = "/webirc"
"""Where other IRC servers have their WebSockets, and clients on the web look for one."""
ONLINE: Final = "online"
"""The status of a user who has set no other."""
OFFLINE: Final = "offline"
"""The status of an absent user, which no user can set."""
AWAY: Final = "away"
"""The status that `/away` sets, mostly with a note."""
OPERATOR_ROLE: Final = "operator"
"""The role of an account that may moderate."""
INVITE_DAYS: Final = 7
"""Days for which an invite is good unless its maker says otherwise."""
ONCE_HOURS: Final = 72
"""Hours for which a one-time password of `gmessenger-admin` is valid."""
SERVER_OWNER: Final = "server"
"""Who moderates through `gmessenger-admin`; a reserved name, so no user can have it."""
RegistrationMode: TypeAlias = Literal["open", "invite", "closed"]
"""Whether guests may register, as the server's option and the greeting of a client say it."""
WebTls: TypeAlias = Literal["auto", "no"]
"""Whether the web endpoint is encrypted."""
MEMORY_URL: Final = "memory:"
"""The URL of a store that keeps nothing after the server stops."""
STORE_RETRY_DELAY: Final = 1.0
"""Seconds before a store that was unavailable is tried again."""
MAX_HISTORY_PAGE: Final = 500
"""Messages in one response to a history or search request."""
DEFAULT_PUSH_HOSTS: Final = (
    "googleapis.com",  # Chromium and the browsers built on it
    "push.services.mozilla.com",
    "push.apple.com",
    "notify.windows.com",
)
"""Hosts of the push services of browsers."""
LEASE_TTL: Final = 30.0
"""Seconds after the last renewal for which the names of guests that a node holds are not given to another node."""
