"""The server process: options, start, listeners, metrics, health, control socket, drain and stop."""
