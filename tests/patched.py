"""The plugin named in addopts: patches sockets before any test module is collected."""

from gevent import monkey

monkey.patch_all()
