"""The server under the shipped systemd unit and in a container, with their restrictions."""
