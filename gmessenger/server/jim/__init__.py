"""JIM connections, native and course: decode and dispatch requests, encode responses and events."""
