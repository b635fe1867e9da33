"""A request that is sent without the SDK is the one that the SDK would send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from sigil.providers.shared.errors import NotSent, Refusal
from sigil.providers.shared.post import Post

BODY = {"model": "m", "messages": [{"role": "user", "content": "Grüße „☃“ \x00"}], "n": 0.5}

Ask = Callable[[object], Awaitable[Any]]


def make_openai(http: httpx2.AsyncClient) -> Ask:
    sdk = openai.AsyncOpenAI(api_key="k", base_url="http://v/v1?a=b", http_client=http)
    return lambda body: sdk.post("/chat/completions", cast_to=object, body=body)


def make_anthropic(http: httpx2.AsyncClient) -> Ask:
    sdk = anthropic.AsyncAnthropic(api_key="k", base_url="http://me:pw@v", http_client=http)
    return lambda body: sdk.post("/v1/messages", cast_to=object, body=body)


class Vendor:
    """Keeps the requests that arrive and answers with `response`."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.response = httpx2.Response(200, json={}, headers={"set-cookie": "c=1"})
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer), timeout=7)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.response


@pytest.mark.parametrize("make", [make_openai, make_anthropic])
async def test_it_is_what_the_sdk_sends(make: Callable[[httpx2.AsyncClient], Ask]) -> None:
    vendor = Vendor()
    ask = make(vendor.http)
    post = await Post.learn(vendor.http, lambda: ask({}))
    assert not vendor.requests
    for _ in range(2):  # from the second on there is a cookie
        await ask(BODY)
        await post.send(BODY, stream=False)
    for theirs, ours in zip(vendor.requests[::2], vendor.requests[1::2], strict=True):
        assert ours.url == theirs.url
        assert ours.content == theirs.content
        assert ours.extensions == theirs.extensions
        assert dict(ours.headers) == {"cookie": "c=1"} | dict(theirs.headers)


async def test_a_header_of_one_request_replaces_the_usual_one() -> None:
    vendor = Vendor()
    ask = make_anthropic(vendor.http)
    post = await Post.learn(vendor.http, lambda: ask({}))
    await post.send(BODY, stream=False, headers={b"anthropic-version": b"2"})
    await post.send(BODY, stream=False)
    first, second = (r.headers.get_list("anthropic-version") for r in vendor.requests)
    assert first == ["2"]
    assert len(second) == 1
    assert second != first


async def test_what_is_no_success_is_raised_with_its_body() -> None:
    vendor = Vendor()
    ask = make_openai(vendor.http)
    post = await Post.learn(vendor.http, lambda: ask({}))
    for status, text, body in ((302, "", ""), (500, "oh\n", "oh"), (429, '{"a": 1}', {"a": 1})):
        vendor.response = httpx2.Response(status, text=text)
        with pytest.raises(Refusal) as caught:
            await post.send(BODY, stream=True)
        assert caught.value.body == body
        assert caught.value.response.is_closed


async def test_without_a_response_the_cause_is_kept() -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("late", request=request)

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(fail))
    ask = make_openai(http)
    post = await Post.learn(http, lambda: ask({}))
    with pytest.raises(NotSent) as caught:
        await post.send(BODY, stream=True)
    assert isinstance(caught.value.__cause__, httpx2.ReadTimeout)


async def test_an_sdk_that_makes_no_request_says_why() -> None:
    async def ask() -> None:
        raise ValueError("no key")

    with pytest.raises(ValueError, match="no key"):
        await Post.learn(Vendor().http, ask)
