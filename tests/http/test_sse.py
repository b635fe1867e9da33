from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterable

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.http.sse import EventReader, read_texts

# From the specification's examples and rules: https://html.spec.whatwg.org/#server-sent-events
EXAMPLES = {
    "one line": (b"data: hello\n\n", ["hello"]),
    "two events": (b"data: a\n\ndata: b\n\n", ["a", "b"]),
    "several lines": (b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
    "one space is left out, a second is not": (b"data:a\n\ndata:  b\n\n", ["a", " b"]),
    "comments and other fields": (b": test\n\nid: 1\nevent: x\ndata: a\nretry: 5\n\n", ["a"]),
    "an event without data": (b"event: ping\n\ndata\n\ndata:\n\ndata: a\n\n", ["a"]),
    "blank lines between events": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", ["a", "b"]),
    "CRLF": (b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", ["a\nb", "c"]),
    "CR": (b"data: a\rdata: b\r\rdata: c\r\r\n", ["a\nb", "c"]),
    "mixed": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r\n", ["a", "b", "c"]),
    "a byte order mark": ("\ufeffdata: ä\n\n".encode(), ["ä"]),
    "an event that is not ended": (b"data: a\n\ndata: b\n", ["a"]),
}


def feed(pieces: Iterable[bytes]) -> list[str]:
    events = EventReader()
    return [data for piece in pieces for data in events.feed(piece)]


@pytest.mark.parametrize(("stream", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_events_are_read_as_the_specification_says_wherever_a_stream_is_cut(stream, expected):
    assert feed(stream[at : at + 1] for at in range(len(stream))) == expected
    for at in range(len(stream)):
        assert feed([stream[:at], stream[at:]]) == expected


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)
    ),
    st.sampled_from([b"\n", b"\r\n"]),
    st.data(),
)
def test_written_events_are_read(written, line_end, draw):
    stream = b"".join(b"data: " + data.encode() + 2 * line_end for data in written)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert feed(pieces) == written


def test_an_event_is_given_out_as_soon_as_it_has_ended():
    events = EventReader()
    assert list(events.feed(b"data: a\n")) == []
    assert list(events.feed(b"\ndata: b")) == ["a"]
    assert list(events.feed(b"\n\n")) == ["b"]


def test_bytes_that_are_not_text_are_refused_after_the_events_before():
    events = EventReader().feed(b"data: a\n\ndata: \xff\n\n")
    assert next(events) == "a"
    with pytest.raises(ValueError):
        next(events)


def test_an_event_that_does_not_end_is_refused():
    with pytest.raises(ValueError, match="does not end"):
        feed(bytes(1024 * 1024) for _ in range(20))


# Texts


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, *pieces: bytes | Exception) -> None:
        self.left = list(pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            piece = self.left.pop(0)
            if isinstance(piece, Exception):
                raise piece
            yield piece


def response(*pieces: bytes | Exception, **headers: str) -> httpx2.Response:
    return httpx2.Response(200, headers=headers, stream=Pieces(*pieces))


async def read(
    answer: httpx2.Response, *, until: str = "", seen: list[str] | None = None
) -> list[str]:
    taken: list[str] = []
    seen = [] if seen is None else seen

    def take(data: str) -> str:
        taken.append(data)
        if data == "error":
            raise LookupError
        return "" if data == "thought" else data

    async for text in read_texts(answer, take, lambda: until in taken):
        seen.append(text)
    return seen


async def test_what_comes_at_once_is_one_text():
    answer = response(b"data: a\n\ndata: b\n\nda", b"ta: c\n\n")
    assert await read(answer) == ["ab", "c"]
    assert answer.is_closed


async def test_events_without_text_count_and_comments_do_not():
    assert await read(response(b"data: thought\n\n", b": ping\n\n", b"data: a\n\n")) == ["", "a"]


@pytest.mark.parametrize(
    "failure", [b"data: error\n\n", httpx2.ReadError("cut"), b"data: \xff\n\n"]
)
async def test_what_came_before_a_failure_comes_first(failure):
    together = isinstance(failure, bytes)
    pieces = [b"data: a\n\n" + failure] if together else [b"data: a\n\n", failure]
    seen: list[str] = []
    with pytest.raises((LookupError, ValueError, httpx2.ReadError)):
        await read(response(*pieces), seen=seen)
    assert seen == ["a"]


async def test_nothing_counts_after_the_end_but_the_body_is_read():
    stream = Pieces(b"data: a\n\ndata: end\n\ndata: b\n\n", b"data: error\n\n", b"data: c\n\n")
    answer = httpx2.Response(200, stream=stream)
    assert await read(answer, until="end") == ["aend"]
    assert stream.left == []


async def test_what_breaks_after_the_end_does_not_matter():
    answer = response(b"data: end\n\n", httpx2.ReadError("cut"))
    assert await read(answer, until="end") == ["end"]


async def test_a_compressed_stream_is_read():
    packed = gzip.compress(b"data: a\n\ndata: b\n\n")
    answer = response(packed[:9], packed[9:], **{"content-encoding": "gzip"})
    assert "".join(await read(answer)) == "ab"
