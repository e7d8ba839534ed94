"""The JIM protocol: bytes to events and back, native and course; pure, without sockets, clock or logging."""
