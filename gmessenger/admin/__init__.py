"""The command `gmessenger-admin`: works through the control socket of a running server, or on a stopped one's store."""
