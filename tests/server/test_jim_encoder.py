"""Frames of the native protocol: encoded once for all sessions, beside what other protocols have made of an event."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec import Raw, json

from gmessenger.chat.outbound import (
    BacklogSkipped,
    EncodedFrames,
    EndOfStream,
    Message,
    MessageBatch,
    Outbound,
    PresenceUpdate,
    Response,
    Signal,
    TextBatch,
)
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.room_events import RoomEvent
from gmessenger.server.jim.encoder import CACHE_KEY, ENCODERS, encode_room_message

MESSAGE = ("hank", "#dev", "hi", 1.0)


def encode(event: Any) -> object:
    return encode_room_message(event, "dale") if isinstance(event, Message) else ENCODERS[type(event)](event)


@pytest.mark.parametrize(
    "event",
    [
        Message(*MESSAGE),
        MessageBatch([Message(*MESSAGE), Message(*MESSAGE)], 1, 2, 300),
        TextBatch("hank", "dale", ["hi", "there"], 1.0, 300),
        PresenceUpdate("hank", "away"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_is_encoded_once_beside_the_lines_of_other_protocols(event: Any) -> None:
    event.encoded = {("lines", 3): b"one line"}
    first = encode(event)
    assert isinstance(first, Raw) and encode(event) is first
    assert event.encoded == {("lines", 3): b"one line", CACHE_KEY: first}


def test_a_message_that_was_encoded_alone_is_not_encoded_again_in_a_batch() -> None:
    one, two = Message(*MESSAGE), Message(*MESSAGE, seq=2)
    one.encoded = {CACHE_KEY: Raw(b'"encoded before"')}
    batch = encode(MessageBatch([one, two], 1, 2, 300))
    assert isinstance(batch, Raw) and bytes(batch).startswith(b'"encoded before"\n{') and two.encoded is not None


def test_native_clients_are_told_that_a_guest_left_but_not_its_last_words() -> None:
    left = RoomEvent("leave", "#dev", "gus")
    quit = RoomEvent("leave", "#dev", "gus", reason="gone fishing", quit=True)
    removed = RoomEvent("leave", "#dev", "gus", by="hank", reason="noise")
    assert json.encode(encode(quit)) == json.encode(encode(left))
    assert b"noise" in json.encode(encode(removed))


def test_all_but_what_other_protocols_have_encoded_has_an_encoder() -> None:
    handled_by_the_connection = {Message, Response, EndOfStream}
    assert set(get_args(Outbound)) - ENCODERS.keys() - handled_by_the_connection == {
        EncodedFrames,
        Signal,
        BacklogSkipped,
    }


def test_encoded_frames_keep_their_place_among_other_events_and_count_by_their_size() -> None:
    outbox = Outbox(10, 100, lambda: None, lambda: None)
    frames, response = EncodedFrames(b"a line\n", 90), Response(200, None, 1.0)
    outbox.push(response)
    assert not outbox.offer(frames)
    outbox.drain()
    assert outbox.offer(frames) and outbox.push(response) and outbox.is_full
    assert outbox.drain() == [frames, response]
