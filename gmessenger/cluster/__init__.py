"""Makes several servers one messenger: brings here what others kept, and knows here what others changed.
It must not know SQL, Redis, sockets, fronts, or how anything is said on the wire.
"""
