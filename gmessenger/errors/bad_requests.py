"""Errors of the statuses 400 to 402: the request is not valid, or proves no right to the name."""

from __future__ import annotations

from gmessenger.errors.base import WireError


class BadRequest(WireError):
    code = "bad_request"
    message = "The request is not valid."


class BadFrame(BadRequest):
    code = "bad_frame"
    message = "This is not a JSON object in UTF-8."


class UnknownAction(BadRequest):
    code = "unknown_action"
    message = "There is no such action."


class BadId(BadRequest):
    code = "bad_id"
    message = "An id is a string of 1 to 64 bytes."


class BadText(BadRequest):
    code = "bad_text"
    message = "The text holds a character that cannot be sent."


class BadName(BadRequest):
    code = "bad_name"
    message = "A name is 1 to 32 letters, digits, '_', '-' or '.'."


class NameConfusable(BadName):
    code = "name_confusable"
    message = "This name looks too much like another that is taken; choose another."


class BadPassword(BadRequest):
    code = "bad_password"
    message = "A password is 8 to 1024 bytes."


class AlreadyLoggedIn(BadRequest):
    code = "already_logged_in"
    message = "This connection is logged in under another name."


class TlsRequired(BadRequest):
    code = "tls_needed"
    message = "This port speaks TLS: connect with TLS, or to the server's plain port."


class BadSubscription(BadRequest):
    code = "bad_subscription"
    message = "This is no push subscription that the server can send to."


class NotStorable(BadRequest):
    code = "not_storable"
    message = "The server cannot store this; sending it again does not help."


class NotLoggedIn(WireError):
    status = 401
    code = "not_logged_in"
    message = "Log in first: send a presence with a name."


class PasswordRequired(WireError):
    status = 401
    code = "password_needed"
    message = "This name is an account: give its password."


class WrongPassword(WireError):
    status = 402
    code = "wrong_password"
    message = "The name or the password is wrong."
