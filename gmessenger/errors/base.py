"""The root of the tree of errors, and of those that clients are answered with."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

ErrorFields: TypeAlias = dict[str, str | int | float]
"""What a response says of an error: its sentence, its code, and a limit or a delay."""


class MessengerError(Exception):
    """The root of the tree.

    `str(error)` is a sentence for people: the class's `message`, unless another one is given. `retryable` says whether
    the same thing can succeed later.
    """

    code: ClassVar[str] = "messenger_error"
    retryable: ClassVar[bool] = False
    message: ClassVar[str] = "Something went wrong."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class WireError(MessengerError):
    """A refused request, answered with `status`.

    Where they are set, the response has the `limit` that was exceeded, and `retry_after`: the seconds after which the
    request can succeed.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "request_error"

    def __init__(
        self, message: str | None = None, *, limit: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after = retry_after

    def to_fields(self) -> ErrorFields:
        """Return the fields of the response that describe the error, without its status."""
        optional = {"limit": self.limit, "retry_after": self.retry_after}
        present = {key: value for key, value in optional.items() if value is not None}
        return {"error": str(self), "code": self.code, **present}
