"""The messenger: sessions, rooms, rights, rate limits, the path of a message; no sockets, no SQL."""
