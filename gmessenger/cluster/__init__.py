"""Cluster node: deliver messages stored by other nodes, follow their changes, relay messages between guests."""
