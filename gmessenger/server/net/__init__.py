"""Sockets of a server: listeners, transports, TLS, connections and their writers; it knows no protocol of messages."""
