"""From the operator's options to the limits on what people do."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.limits import Bounds, Rate
from gmessenger.options import ServerOptions

HOUR: Final = 3600.0


def bounds_of(options: ServerOptions) -> Bounds:
    """The limits that these options set."""
    return Bounds(
        messages=Rate(options.message_rate, options.message_burst, options.patience),
        requests=Rate(options.request_rate, options.request_burst, options.patience),
        guest_messages=Rate(options.guest_message_rate, options.guest_message_burst, options.patience),
        guest_requests=Rate(options.guest_request_rate, options.guest_request_burst, options.patience),
        registrations=Rate.within(options.registrations_per_hour, HOUR),
        failures_of_address=Rate.within(options.failures_per_ip, options.failure_window),
        failures_on_name=Rate.within(options.failures_per_name, options.failure_window),
        rooms=options.max_rooms,
        rooms_made=options.max_rooms_made,
        rooms_joined=options.max_rooms_joined,
        members=options.max_members,
    )
