"""Cluster node: deliver other nodes' messages, follow their changes, relay messages between guests."""
