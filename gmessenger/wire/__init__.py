"""Speaks the wire: bytes in, events out, and back; each dialect of JIM is a row of a table here.
It must not know gevent, sockets, clocks, logging, storage, or who is logged in.
"""
