"""The server process: sockets, greenlets and fronts around the messenger; composes, starts, drains.
It must not know how messages are spelled (wire) beyond its fronts, nor anything of the client.
"""
