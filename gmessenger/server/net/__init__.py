"""Sockets of a server: listeners, transports, TLS, connections and writers. No chat protocol."""
