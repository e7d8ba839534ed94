"""The web endpoint: WebSockets for browsers, imported only with `--web`."""
