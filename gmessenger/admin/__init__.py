"""`gmessenger-admin`: administration through the control socket of a server, or on its store."""
