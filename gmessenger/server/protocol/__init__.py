"""What the protocols of the server have in common: the base of the handlers of connections."""
