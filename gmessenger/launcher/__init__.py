"""The command `launcher.py`: a server or a cluster of them, and clients, from one terminal; all end with it.
It must not know gevent, the messenger or the tests: it starts the programs as anybody does, and watches processes.
"""
