"""A node of a cluster: delivers what other nodes stored, follows their changes, relays between guests."""
