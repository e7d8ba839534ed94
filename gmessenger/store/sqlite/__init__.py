"""The store in a SQLite file, or in memory: one process, one writer connection, group commit."""
