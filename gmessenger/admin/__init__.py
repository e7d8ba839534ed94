"""The command `gmessenger-admin`: through the control socket of a running server, or on the store of a stopped one."""
