"""The terminal client: line mode, pipe modes and commands on top of the client library; the full screen is in `tui`."""
