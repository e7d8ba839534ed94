"""The terminal client: line mode, pipe modes and commands over the client library; the full screen is in `tui`."""
