"""The terminal client: line mode, pipe modes and commands over the client library;

`tui` has the full screen.
"""
