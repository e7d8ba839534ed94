"""`launcher.py`: starts a server or a cluster, and clients in windows, and ends them all."""
