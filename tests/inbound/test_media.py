"""Which files are kept, and what they are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sigil.blobs.base import MB, make_refused, read_file
from sigil.blobs.file import FileBlobs
from sigil.channels.base import MediaKind, MediaRules
from sigil.errors import MediaRefused
from sigil.inbound import media
from sigil.inbound.media import MediaKeeper
from sigil.messages import Attachment

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 2000
JPEG = b"\xff\xd8\xff\xe0"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "
PDF = b"%PDF-1.7\n"
OGG = b"OggS\0"


@pytest.fixture
def keeper(tmp_path: Path) -> MediaKeeper:
    rules = MediaRules(incoming=frozenset({"file", "image", "voice"}), largest_in=20 * MB)
    return MediaKeeper(FileBlobs(tmp_path / "blobs"), rules, "t/a")


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def keep(
    keeper: MediaKeeper,
    *pieces: bytes,
    kind: MediaKind = "file",
    name: str = "a",
    mime_type: str = "text/plain",
    size: int | None = None,
) -> Attachment:
    return await keeper.keep_file(
        stream(*pieces), kind=kind, name=name, mime_type=mime_type, size=size
    )


async def test_what_is_kept_can_be_read_by_what_the_message_carries(keeper: MediaKeeper) -> None:
    data = os.urandom(3 * MB + 1)
    kept = await keep(keeper, data[:10], data[10:MB], data[MB:], name="plan.bin")
    assert (kept.name, kept.size, kept.kind) == ("plan.bin", len(data), "file")
    assert await read_file(keeper.blobs, kept, "t/a") == data


@pytest.mark.parametrize(
    ("data", "kind", "claimed", "found"),
    [
        (PNG, "image", "image/jpeg", ("image/png", "image")),
        (JPEG, "image", "", ("image/jpeg", "image")),
        (WEBP, "file", "application/zip", ("image/webp", "file")),
        (b"GIF89a", "image", "image/png", ("image/gif", "image")),
        (b"<svg onload=x>", "image", "image/svg+xml", ("application/octet-stream", "file")),
        (b"MZ\x90", "image", "image/png", ("application/octet-stream", "file")),
        (PDF, "file", "text/html", ("application/pdf", "file")),
        (b"no", "file", "application/pdf", ("application/octet-stream", "file")),
        (b"a,b", "file", "Text/CSV; charset=utf-8", ("text/csv", "file")),
        (b"x", "file", "nonsense\n", ("application/octet-stream", "file")),
        (OGG, "voice", "audio/ogg", ("audio/ogg", "voice")),
    ],
)
async def test_first_bytes_decide_about_pictures_and_pdfs(
    keeper: MediaKeeper, data: bytes, kind: MediaKind, claimed: str, found: tuple[str, str]
) -> None:
    for pieces in ([data], [data[:3], data[3:]]):
        kept = await keep(keeper, *pieces, kind=kind, mime_type=claimed)
        assert (kept.mime_type, kept.kind) == found


async def test_a_file_that_says_it_is_too_large_is_not_even_read(keeper: MediaKeeper) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    with pytest.raises(MediaRefused) as refused:
        await keeper.keep_file(
            unread(), kind="file", name="holiday.mov", mime_type="a/b", size=30 * MB
        )
    assert str(refused.value) == "The file holiday.mov has 30 MB; I take up to 20 MB."


@pytest.mark.parametrize("size", [None, 5])
async def test_a_file_that_lies_about_its_size_is_refused(
    keeper: MediaKeeper, size: int | None, tmp_path: Path
) -> None:
    with pytest.raises(MediaRefused, match="larger than 20 MB"):
        await keep(keeper, *[b"x" * MB] * 20, b"y", size=size)
    assert list((tmp_path / "blobs").iterdir()) == []


async def test_the_stores_own_limit_counts_too(tmp_path: Path) -> None:
    rules = MediaRules(incoming=frozenset({"file"}), largest_in=20 * MB)
    small = MediaKeeper(FileBlobs(tmp_path, largest=8 * MB), rules, "t/a")
    with pytest.raises(MediaRefused, match="has 9 MB; I take up to 8 MB"):
        await keep(small, b"x", size=9 * MB)


async def test_kinds_that_the_channel_does_not_take_are_refused(keeper: MediaKeeper) -> None:
    with pytest.raises(MediaRefused, match="cannot take videos here"):
        await keep(keeper, b"x", kind="video")


async def test_an_empty_file_is_refused(keeper: MediaKeeper) -> None:
    with pytest.raises(MediaRefused, match="is empty"):
        await keep(keeper)


async def test_a_stream_that_never_ends_is_given_up(
    keeper: MediaKeeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"x" * 2000
        await asyncio.Event().wait()

    monkeypatch.setattr(media, "MOST_SECONDS", 0.05)
    with pytest.raises(MediaRefused, match="too long"):
        await keeper.keep_file(drip(), kind="file", name="a", mime_type="a/b")
    assert list((tmp_path / "blobs").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\docs\\a.txt", "a.txt"),
        ("a\r\nX: y\0.txt", "aX: y.txt"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("  ..  ", "file"),
        ("", "file"),
        ("\ud800.png", "png"),
        ("é" * 300, "é" * 128),
        ("my holiday.mov", "my holiday.mov"),
        ("[click](https:evil.example) <b>`", "(click)(https:evil.example) (b)'"),
    ],
)
async def test_names_are_made_fit_to_be_shown(keeper: MediaKeeper, name: str, shown: str) -> None:
    assert (await keep(keeper, b"x", name=name)).name == shown


def test_a_refused_file_goes_on_as_a_note() -> None:
    refused = make_refused(
        MediaRefused("Too\nlarge. " + "é" * 5000), kind="video", name="../a\n", mime_type="", size=7
    )
    assert refused.url.startswith("refused:Toolarge. éé")
    assert (refused.name, refused.mime_type, refused.size, refused.kind) == (
        "a",
        "application/octet-stream",
        7,
        "video",
    )
