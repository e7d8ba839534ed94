"""What crosses the wire, as structs: requests, responses, push events, and invalid frames.

Native structs have the fields of the frames, under the wire's names. Course requests are translated: the dialect of a
client is known in `wire` only. All are imported from here.
"""

from __future__ import annotations

from gmessenger.wire.events.common import *
from gmessenger.wire.events.course import *
from gmessenger.wire.events.pushes import *
from gmessenger.wire.events.received import *
from gmessenger.wire.events.requests import *
from gmessenger.wire.events.responses import *
