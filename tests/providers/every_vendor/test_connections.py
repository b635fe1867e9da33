"""What every SDK's client does with its connections, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, EventType, Provider
from tests.providers.calls import collect_error, collect_events, join_text, make_request
from tests.providers.exchange import KEY, TEXT, Exchange
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.vendors import SDKS, Vendor, open_providers

# What the SDKs would take from the environment, each with a value that must not be met again.
ENVIRONMENT = {
    **dict.fromkeys(
        (
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_PROFILE",
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_GENAI_API_VERSION",
            "OPENAI_API_KEY",
            "OPENAI_ORG_ID",
            "OPENAI_PROJECT_ID",
        ),
        "from-outside",
    ),
    **dict.fromkeys(
        (
            "ANTHROPIC_BASE_URL",
            "GOOGLE_GEMINI_BASE_URL",
            "GOOGLE_VERTEX_BASE_URL",
            "OPENAI_BASE_URL",
        ),
        "http://127.0.0.1:9/from-outside",
    ),
    "ANTHROPIC_CUSTOM_HEADERS": "x-more: from-outside\nauthorization: Bearer from-outside",
    "OPENAI_CUSTOM_HEADERS": "x-more: from-outside\nauthorization: Bearer from-outside",
    "GOOGLE_GENAI_CLIENT_MODE": "replay",
    "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
}

every_sdk = pytest.mark.parametrize("vendor", SDKS, ids=str)


async def wait_for_call(server: FaultServer, model: str) -> Exchange:
    """The request for this model, as soon as it has come."""
    async with asyncio.timeout(10):
        while not server.calls_of(model):
            await asyncio.sleep(0.01)
    return next(call for call in server.calls if call.model == model)


async def wait_for_hang_up(call: Exchange) -> None:
    async with asyncio.timeout(10):
        while not (call.reader.at_eof() or call.writer.is_closing()):
            await asyncio.sleep(0.01)


async def listen_to(provider: Provider, model: str, heard: asyncio.Event) -> list[ChatEvent]:
    events = []
    async for event in provider.chat(make_request(model=model)):
        events.append(event)
        heard.set()
    return events


@pytest.mark.parametrize(
    ("vendor", "proxied"),
    [*((vendor, False) for vendor in SDKS), (SDKS[0], True)],
    ids=str,
)
async def test_closing_ends_the_calls_under_way(
    vendor: Vendor, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fault_server() as server:
        if proxied:
            monkeypatch.setenv("HTTP_PROXY", server.address)
            monkeypatch.setenv("NO_PROXY", "")
        async with open_providers(server) as providers:
            provider = providers[vendor.name]
            heard = asyncio.Event()
            stream = asyncio.create_task(listen_to(provider, "silent.mid", heard))
            waits = asyncio.create_task(collect_events(provider, model="no_headers.before"))
            async with asyncio.timeout(10):
                await heard.wait()
                await wait_for_call(server, "no_headers.before")
                await provider.aclose()
                events, nothing = await stream, await waits
            assert events[-1].error is not None
            assert events[-1].error.kind is ErrorKind.NETWORK
            assert [event.type for event in nothing] == [EventType.ERROR]
            assert join_text(await collect_events(provider)) == TEXT


@every_sdk
@pytest.mark.parametrize("model", ["silent.mid", "no_headers.before", "silent.whole"])
async def test_a_cancelled_call_leaves_no_connection(
    server: FaultServer, providers: Mapping[str, Provider], vendor: Vendor, model: str
) -> None:
    stream = not model.endswith("whole")
    task = asyncio.create_task(collect_events(providers[vendor.name], model=model, stream=stream))
    call = await wait_for_call(server, model)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_for_hang_up(call)


@every_sdk
async def test_a_stream_that_is_left_early_leaves_no_connection(
    server: FaultServer, providers: Mapping[str, Provider], vendor: Vendor
) -> None:
    chat = providers[vendor.name].chat(make_request(model="silent.mid"))
    async with aclosing(chat) as events:
        assert (await anext(events)).type is EventType.TEXT_DELTA
    (call,) = server.calls
    await wait_for_hang_up(call)


@every_sdk
@pytest.mark.parametrize("model", ["silent.mid", "no_headers.before", "silent.whole"])
async def test_silence_is_a_timeout(server: FaultServer, vendor: Vendor, model: str) -> None:
    provider = vendor.make(server.url(vendor.wire), read_timeout=0.1)
    error = await collect_error(provider, model=model, stream=not model.endswith("whole"))
    assert (error.kind, error.reached) == (ErrorKind.TIMEOUT, True)
    (call,) = server.calls
    await wait_for_hang_up(call)
    await provider.aclose()


@every_sdk
async def test_connections_are_kept_for_the_next_call(
    server: FaultServer, providers: Mapping[str, Provider], vendor: Vendor
) -> None:
    await providers[vendor.name].aclose()
    for number in range(6):
        await collect_events(providers[vendor.name], stream=bool(number % 2))
    assert len({id(call.writer) for call in server.calls}) == 1


async def test_two_hundred_calls_side_by_side(providers: Mapping[str, Provider]) -> None:
    calls = (collect_events(providers["anthropic"]) for _ in range(200))
    answers = await asyncio.gather(*calls)
    assert {join_text(answer) for answer in answers} == {TEXT}


@every_sdk
async def test_nothing_comes_from_the_environment(
    server: FaultServer, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    provider = vendor.make(server.url(vendor.wire))
    assert join_text(await collect_events(provider, session="the-session", user="the-user")) == TEXT
    await provider.aclose()
    (call,) = server.calls
    sent = json.dumps([call.path, dict(call.request.headers), call.body])
    for outside in ("from-outside", "the-session", "the-user", "metadata"):
        assert outside not in sent


@every_sdk
async def test_an_error_of_a_refresh_holds_nothing_of_the_request(vendor: Vendor) -> None:
    provider = vendor.make("http://127.0.0.1:9")
    before = await provider.list_models()
    with pytest.raises(ProviderError) as caught:
        await provider.refresh_models()
    await provider.aclose()
    assert caught.value.kind is ErrorKind.NETWORK
    assert caught.value.__context__ is None
    assert KEY not in repr(vars(caught.value))
    assert await provider.list_models() == before


@pytest.mark.parametrize(
    ("vendor", "variable", "value"),
    [
        *((vendor, "ALL_PROXY", "gopher://user:from-outside@127.0.0.1:9") for vendor in SDKS),
        (SDKS[0], "SSL_CERT_FILE", "/no/such/from-outside.pem"),
    ],
    ids=str,
)
async def test_a_process_that_can_call_nobody_does_not_rest_models_for_the_others(
    vendor: Vendor, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    provider = vendor.make("http://127.0.0.1:9")
    error = await collect_error(provider)
    await provider.aclose()
    assert (error.kind, error.reached, error.counts) == (ErrorKind.UNAVAILABLE, False, False)
    assert variable.partition("_")[2] in str(error)
    assert "from-outside" not in str(error)
