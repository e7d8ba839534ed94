"""Errors that end a program, or a connection before its first request."""

from __future__ import annotations

from typing import ClassVar

from gmessenger.errors.base import MessengerError


class BadProxyHeader(MessengerError):
    """A connection from a trusted proxy does not begin with a valid PROXY protocol header."""

    code = "bad_proxy_header"
    message = "This is not a PROXY protocol header."


class ExitError(MessengerError):
    """Ends a program: one line on stderr, and `exit_code` for the shell."""

    code = "exit_error"
    exit_code: ClassVar[int] = 1


class UsageError(ExitError):
    code = "usage_error"
    exit_code = 2


class ListenError(ExitError):
    code = "cannot_listen"
    exit_code = 69


class Unreachable(ExitError):
    code = "unreachable"
    exit_code = 69
    retryable = True


class StoreLocked(ExitError):
    """Another process has the store open."""

    code = "store_in_use"
    exit_code = 69
    retryable = True


class FileError(ExitError):
    code = "file_problem"
    exit_code = 73


class MessagesNotSent(ExitError):
    code = "not_all_sent"
    exit_code = 75
    retryable = True


class ServerRunning(ExitError):
    code = "server_running"
    exit_code = 75
    retryable = True


class Refused(ExitError):
    code = "refused"
    exit_code = 77


class CertificateNotTrusted(Refused):
    """The server did not prove its identity; nothing was sent to it after the TLS handshake."""

    code = "untrusted"


class ConfigError(ExitError):
    code = "config_problem"
    exit_code = 78
