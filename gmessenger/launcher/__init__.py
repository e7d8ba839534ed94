"""The command `launcher.py`: starts one server or a cluster, and clients in windows of their own, and ends them all."""
