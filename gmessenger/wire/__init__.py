"""The JIM protocol, native and course dialects: bytes to events and back, without sockets, clocks or logging."""
