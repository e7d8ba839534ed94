"""Fronts: doors into the same messenger, one package per protocol; each turns bytes into its verbs and back.
They must not know sockets or listeners, only the connection they are handed.
"""
