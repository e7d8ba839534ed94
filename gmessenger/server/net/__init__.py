"""Sockets of a server: listeners, transports, TLS, connections and their writers. Knows no chat protocol."""
