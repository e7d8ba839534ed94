"""Configuration files of the peers: no throttles, no limits that a workload could reach, otherwise defaults.

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

NGIRCD_TLS: Final = (
    NGIRCD.replace("    Ports = {port}\n", "    Ports = 0\n")
    + """\
[SSL]
    CertFile = {folder}/cert.pem
    KeyFile = {folder}/key.pem
    Ports = {port}
"""
)

# threshold and commandrate: no rate limit in practice; sendq, recvq: 1 GB.
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

INSPIRCD_TLS: Final = (
    INSPIRCD.replace('type="clients">', 'type="clients" sslprofile="tls">')
    + """\
<module name="ssl_gnutls">
<sslprofile name="tls" provider="gnutls" certfile="{folder}/cert.pem" keyfile="{folder}/key.pem">
"""
)

# No fakelag, no limits on connections, no look-ups; the history of channels and of names is kept in memory, as shipped.
ERGO: Final = """\
network: {{name: bench}}
server:
    name: irc.local
    listeners: {{"127.0.0.1:{port}": {{}}}}
    casemapping: ascii
    enforce-utf8: true
    lookup-hostnames: false
    check-ident: false
    max-sendq: 1G
    compatibility: {{force-trailing: true, send-unprefixed-sasl: true}}
    ip-limits: {{count: false, throttle: false}}
    ip-cloaking: {{enabled: false}}
accounts:
    authentication-enabled: true
    registration: {{enabled: true, bcrypt-cost: 4}}
    multiclient: {{enabled: true, allowed-by-default: true, always-on: opt-in}}
channels: {{default-modes: +nt, max-channels-per-client: 100, registration: {{enabled: true}}}}
fakelag: {{enabled: false}}
languages: {{enabled: false}}
limits: {{nicklen: 32, identlen: 20, realnamelen: 150, channellen: 64, awaylen: 390, kicklen: 390, topiclen: 390,
    monitor-entries: 100, whowas-entries: 100, chan-list-modes: 100, registration-messages: 1024,
    multiline: {{max-bytes: 4096, max-lines: 100}}}}
history: {{enabled: true, channel-length: 2048, client-length: 256, autoresize-window: 3d, autoreplay-on-join: 0,
    chathistory-maxmessages: 1000, znc-maxmessages: 2048, restrictions: {{expire-time: 1w}}}}
datastore: {{path: "{folder}/ergo.db", autoupgrade: true}}
logging: [{{method: stderr, type: "* -userinput -useroutput", level: warn}}]
"""

ERGO_TLS: Final = ERGO.replace(": {{}}}}", ": {{tls: {{cert: {folder}/cert.pem, key: {folder}/key.pem}}}}}}")

# No snapshots, as publish/subscribe stores nothing; no client is dropped for reading slowly.
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

# max_inflight_messages and max_queued_messages 0: no limit on messages in flight to one client.
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

# autosave_interval keeps its default: 1800 seconds.
MOSQUITTO_STORED: Final = (
    MOSQUITTO
    + """\
persistence true
persistence_location {folder}/
"""
)

# No mod_limits: no rates. Any password is accepted, because hashing is not measured. Joins are not broadcast: a room of
# a thousand would send half a million presences before the measurement. gc: Lua's generational collector, with which it
# needs a third of the time.
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

# Everything is archived for both users; storage_archive_item_limit: no cut at 10,000 messages.
PROSODY_ARCHIVE: Final = PROSODY.replace('"message",', '"message", "mam",', 1).replace(
    "VirtualHost", "default_archive_policy = true\nstorage_archive_item_limit = 1000000000\nVirtualHost", 1
)

ALL: Final = {
    "ngIRCd": NGIRCD,
    "InspIRCd": INSPIRCD,
    "Ergo": ERGO,
    "Redis": REDIS,
    "NATS JetStream (NATS without its last line)": JETSTREAM,
    "mosquitto, QoS 1, persistent (QoS 0 without its last two lines)": MOSQUITTO_STORED,
    "prosody with archive (without: no `mam`, and without the two lines about archives)": PROSODY_ARCHIVE,
}
