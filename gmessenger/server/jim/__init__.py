"""JIM connections, native and course: decode requests, charge and dispatch them, encode responses and events."""
