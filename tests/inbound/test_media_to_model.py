"""A file's whole way: from a listener's inbox to what a model is sent."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator

import pytest

from sigil.blobs.base import make_refused
from sigil.channels.base import ChannelSpec, MediaRules
from sigil.errors import MediaRefused
from sigil.inbound.inbox import AccountInbox
from sigil.messages import Attachment
from tests.talking import talk

MB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + b"\1" * 100
SPEC = ChannelSpec(media=MediaRules(incoming=frozenset({"image", "file", "video"})))


async def stream(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_a_picture_of_a_listener_reaches_the_model() -> None:
    t = talk(models={"default": "fake/model"}, spec=SPEC)
    inbox = AccountInbox(t.gateway.channels.find("memory"), t.gateway)
    kept = await inbox.keep_file(stream(PNG), kind="image", name="a.jpg", mime_type="image/jpeg")
    await t.say("what is it?", attachments=(kept,))
    [image] = t.provider.requests[-1].messages[-1].images
    assert image.mime_type == "image/png"
    assert b64decode(image.url.partition(",")[2]) == PNG


async def test_thirty_megabytes_are_refused_kindly() -> None:
    t = talk(models={"default": "fake/model"}, spec=SPEC)
    inbox = AccountInbox(t.gateway.channels.find("memory"), t.gateway)
    video: dict[str, str] = {"name": "holiday.mov", "mime_type": "video/quicktime"}
    with pytest.raises(MediaRefused) as refused:
        await inbox.keep_file(stream(b""), kind="video", size=30 * MB, **video)
    note: Attachment = make_refused(refused.value, kind="video", size=30 * MB, **video)
    assert await t.say("", attachments=(note,)) == [
        "The file holiday.mov has 30 MB; I take up to 8 MB."
    ]
    assert t.provider.requests == []
