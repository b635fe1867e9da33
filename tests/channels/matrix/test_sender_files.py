"""Files that go out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sigil.channels.base import Chunk
from sigil.channels.matrix.sender import MatrixSender
from sigil.errors import BlobGone, SendFailed, StoreError
from sigil.messages.exchange import Attachment
from tests.channels.matrix.accounts import make_chunk
from tests.peers.matrix.homeserver import Homeserver
from tests.peers.matrix.script import Fault

MakeSender = Callable[..., MatrixSender]
FILE = "f" * 32


class Blobs:
    """A store of one file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.failing: Exception | None = None

    async def get(self, id: str, *, owner: str) -> Any:
        assert (id, owner) == (FILE, "matrix/default")
        if self.failing is not None:
            raise self.failing
        return SimpleNamespace(size=len(self.data))

    async def read(self, blob: Any) -> AsyncIterator[bytes]:
        yield self.data


def with_file(**given: Any) -> Chunk:
    media = (Attachment(f"blob:{FILE}", "a.png", "image/png", 3, "image"),)
    return make_chunk("Look", media=media, **given)


async def test_files_follow_the_last_chunk_and_are_not_doubled(
    server: Homeserver, make_sender: MakeSender
) -> None:
    sender = make_sender(SimpleNamespace(blobs=Blobs(b"PNG")))
    await sender.send(with_file(final=False))
    assert server.uploads == []
    server.fail("send", Fault(200, {"event_id": "$sent0"}))  # the text, as if it were there
    server.fail("send", Fault(500, done=True))
    with pytest.raises(SendFailed):
        await sender.send(with_file())
    await sender.send(with_file())
    assert server.uploads[0] == ("image/png", b"PNG")
    _, file = server.sent
    assert file["content"] == {
        "msgtype": "m.image",
        "body": "a.png",
        "filename": "a.png",
        "url": "mxc://hs/up1",
        "info": {"mimetype": "image/png", "size": 3},
        "m.mentions": {},
    }


async def test_files_follow_an_answer_that_takes_the_place_of_a_draft(
    server: Homeserver, make_sender: MakeSender
) -> None:
    sender = make_sender(SimpleNamespace(blobs=Blobs(b"PNG")))
    await sender.edit(with_file(replaces="$draft"), "$draft")
    await sender.edit(with_file(), "$draft")  # a later edit of it brings no new file
    assert [event["content"]["msgtype"] for event in server.sent] == ["m.text", "m.image"]


async def test_a_file_that_the_server_does_not_take_is_told(
    server: Homeserver, make_sender: MakeSender
) -> None:
    server.fail("upload", Fault(413, {"errcode": "M_TOO_LARGE", "error": "too large"}))
    await make_sender(SimpleNamespace(blobs=Blobs(b"PNG"))).send(with_file())
    bodies = [event["content"]["body"] for event in server.sent]
    assert bodies == ["Look", "The file a.png could not be sent."]


async def test_a_file_that_is_gone_is_told_and_one_that_cannot_be_read_now_waits(
    server: Homeserver, make_sender: MakeSender
) -> None:
    blobs = Blobs(b"PNG")
    sender = make_sender(SimpleNamespace(blobs=blobs))
    blobs.failing = StoreError("Redis did not answer.")
    with pytest.raises(SendFailed):
        await sender.send(with_file())
    blobs.failing = BlobGone("a.png is gone.")
    await sender.send(with_file())
    bodies = [event["content"]["body"] for event in server.sent]
    assert bodies == ["Look", "The file a.png could not be sent."]


async def test_an_address_goes_out_as_a_link(server: Homeserver, make_sender: MakeSender) -> None:
    media = (Attachment("https://example.org/a.png", "a.png"),)
    await make_sender().send(make_chunk("", media=media))
    (event,) = server.sent
    assert event["content"]["body"] == "a.png: https://example.org/a.png"
