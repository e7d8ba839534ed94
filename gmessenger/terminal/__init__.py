"""The client at a terminal and in a pipe: what is typed goes into a link, what the link tells becomes safe text.
It must not know sockets or JSON.
"""
