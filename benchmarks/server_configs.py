"""What the peers are configured with: no throttles, no limits that the work could meet, otherwise as they come.

Each text is a configuration file; `{port}`, `{folder}` and `{user}` are filled in. docs/benchmarks.md prints them all.
"""

from __future__ import annotations

from typing import Final

# MaxPenaltyTime 0: no flood penalties. No look-ups of host names and users while connecting.
NGIRCD: Final = """\
[Global]
    Name = irc.local
    Listen = 127.0.0.1
    Ports = {port}
    MotdPhrase = "none"
    ServerUID = {user}
[Limits]
    MaxConnections = 0
    MaxConnectionsIP = 0
    MaxJoins = 0
    MaxPenaltyTime = 0
    PingTimeout = 3600
[Options]
    DNS = no
    Ident = no
    PAM = no
"""

# threshold and commandrate: a command costs one of four million, which come back at once; sendq, recvq: 1 GB.
INSPIRCD: Final = """\
<server name="irc.local" description="benchmark" network="local">
<admin name="nobody" nick="nobody" email="nobody@localhost">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect name="everybody" allow="*" timeout="60" pingfreq="3600" threshold="4000000" commandrate="2000000000"
         fakelag="no" hardsendq="1073741824" softsendq="1073741824" recvq="1073741824" localmax="100000"
         globalmax="100000" maxchans="100000" maxconnwarn="no" resolvehostnames="no" useconnban="no" limit="100000">
<class name="none" commands="">
<performance softlimit="100000" somaxconn="1024" netbuffersize="65534" quietbursts="yes">
<limits maxnick="31" maxchan="64" maxline="512">
<options defaultmodes="not" nosnoticestack="yes">
<pid file="{folder}/inspircd.pid">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="{folder}/inspircd.log">
"""

# Publish and subscribe keep nothing, so there are no snapshots; no client is dropped for reading slowly.
REDIS: Final = """\
bind 127.0.0.1
port {port}
dir {folder}
save ""
appendonly no
maxclients 20000
client-output-buffer-limit pubsub 0 0 0
"""

NATS: Final = """\
listen: "127.0.0.1:{port}"
max_connections: 100000
max_pending: 268435456
ping_interval: "1h"
"""

JETSTREAM: Final = (
    NATS
    + """\
jetstream {{ store_dir: "{folder}/jetstream" }}
"""
)

# max_inflight_messages and max_queued_messages 0: no limit on what is on its way to one client.
MOSQUITTO: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
max_connections -1
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
user {user}
log_dest file {folder}/mosquitto.log
"""

# autosave_interval stays as it comes: 1800 seconds.
MOSQUITTO_STORED: Final = (
    MOSQUITTO
    + """\
persistence true
persistence_location {folder}/
"""
)

# No mod_limits: no rates. Any password will do: comparing hashes is not what is measured. Joins to rooms are told to
# nobody but who joins: a room of a thousand would say so half a million times before anything is measured. gc: Lua's
# generational collector, with which it needs a third of the time that it needs with the one it comes with.
PROSODY: Final = """\
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "c2s", "saslauth", "roster", "presence", "message", "iq", "ping", "disco", "unknown" }}
modules_disabled = {{ "s2s", "tls", "offline" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "insecure"
insecure_open_authentication = "Yes please, I know what I'm doing!"
log = {{ info = "{folder}/prosody.log" }}
gc = {{ mode = "generational" }}
network_settings = {{ nagle = false }}
VirtualHost "localhost"
Component "rooms.localhost" "muc"
    restrict_room_creation = false
    muc_room_locking = false
    muc_room_default_presence_broadcast = {{ visitor = false; participant = false; moderator = false }}
"""

# Everything is archived for both ends; storage_archive_item_limit: nothing is cut off at 10,000 messages.
PROSODY_ARCHIVE: Final = PROSODY.replace('"message",', '"message", "mam",', 1).replace(
    "VirtualHost", "default_archive_policy = true\nstorage_archive_item_limit = 1000000000\nVirtualHost", 1
)

ALL: Final = {
    "ngIRCd": NGIRCD,
    "InspIRCd": INSPIRCD,
    "Redis": REDIS,
    "NATS JetStream (NATS without its last line)": JETSTREAM,
    "mosquitto, QoS 1, persistent (QoS 0 without its last two lines)": MOSQUITTO_STORED,
    "prosody with archive (without: no `mam`, and without the two lines about archives)": PROSODY_ARCHIVE,
}
