"""The messenger itself: who is here, who may say what to whom, and the one way a message reaches anybody.
It must not know bytes, sockets, JIM or any other front, SQL, Redis or TLS.
"""
