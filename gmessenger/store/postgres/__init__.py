"""The store in PostgreSQL, which the nodes of a cluster share; it numbers the messages and announces changes."""
