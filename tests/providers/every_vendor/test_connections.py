"""What every vendor's provider does with its connections, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import ChatEvent, EventType, Provider
from tests.providers.asking import asked, collected, failure, text_of
from tests.providers.exchange import KEY, TEXT, Exchange
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.vendors import VENDORS, Vendor, made

# What the SDKs would take from the environment, each with a value that must not be met again.
ENVIRONMENT = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_PROFILE",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "OPENAI_API_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
)
ADDRESSES = (
    "ANTHROPIC_BASE_URL",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
    "OPENAI_BASE_URL",
)

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=str)


async def called(server: FaultServer, model: str) -> Exchange:
    """The request for this model, as soon as it has come."""
    async with asyncio.timeout(10):
        while not server.calls_of(model):
            await asyncio.sleep(0.01)
    return next(call for call in server.calls if call.model == model)


async def read(provider: Provider, model: str, heard: asyncio.Event) -> list[ChatEvent]:
    events = []
    async for event in provider.chat(asked(model=model)):
        events.append(event)
        heard.set()
    return events


@every_vendor
@pytest.mark.parametrize("proxied", [False, True])
async def test_closing_ends_what_is_under_way(
    vendor: Vendor, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fault_server() as server:
        if proxied:
            monkeypatch.setenv("HTTP_PROXY", server.address)
            monkeypatch.setenv("NO_PROXY", "")
        async with made(server) as providers:
            provider = providers[vendor.name]
            heard = asyncio.Event()
            stream = asyncio.create_task(read(provider, "silent.mid", heard))
            waits = asyncio.create_task(collected(provider, model="no_headers.before"))
            async with asyncio.timeout(10):
                await heard.wait()
                await called(server, "no_headers.before")
                await provider.aclose()
                events, nothing = await stream, await waits
            assert events[-1].error is not None
            assert events[-1].error.kind is ErrorKind.NETWORK
            assert [event.type for event in nothing] == [EventType.ERROR]
            assert text_of(await collected(provider)) == TEXT


@every_vendor
@pytest.mark.parametrize("model", ["silent.mid", "no_headers.before"])
async def test_whoever_is_cancelled_leaves_no_connection(vendor: Vendor, model: str) -> None:
    async with fault_server() as server, made(server) as providers:
        task = asyncio.create_task(collected(providers[vendor.name], model=model))
        call = await called(server, model)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            while not (call.reader.at_eof() or call.writer.is_closing()):
                await asyncio.sleep(0.01)


@every_vendor
async def test_connections_are_kept_for_the_next_call(vendor: Vendor) -> None:
    async with fault_server() as server, made(server) as providers:
        for number in range(6):
            await collected(providers[vendor.name], stream=bool(number % 2))
        assert len({id(call.writer) for call in server.calls}) == 1


@every_vendor
async def test_two_hundred_calls_side_by_side(vendor: Vendor) -> None:
    async with fault_server() as server, made(server) as providers:
        calls = (collected(providers[vendor.name]) for _ in range(200))
        answers = await asyncio.gather(*calls)
        assert {text_of(answer) for answer in answers} == {TEXT}


@every_vendor
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", ["status_408", "status_429", "status_500", "status_503"])
async def test_what_fails_is_asked_once(vendor: Vendor, fault: str, stream: bool) -> None:
    model = f"{fault}.before"
    async with fault_server() as server, made(server) as providers:
        await failure(providers[vendor.name], model=model, stream=stream)
        assert server.calls_of(model) == 1


@every_vendor
@pytest.mark.parametrize("stream", [True, False])
async def test_nothing_is_taken_from_the_environment(
    vendor: Vendor, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "from-outside")
    for name in ADDRESSES:
        monkeypatch.setenv(name, "http://127.0.0.1:9/from-outside")
    for name in ("ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "x-more: from-outside")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_GENAI_CLIENT_MODE", "replay")
    async with fault_server() as server, made(server) as providers:
        events = await collected(
            providers[vendor.name], stream=stream, session="the-session", user="the-user"
        )
        assert text_of(events) == TEXT
        (call,) = server.calls
        sent = json.dumps([call.path, call.headers, call.body])
        for outside in ("from-outside", "the-session", "the-user", "metadata"):
            assert outside not in sent


@every_vendor
async def test_a_failed_look_at_the_models_holds_nothing_of_the_request(vendor: Vendor) -> None:
    provider = vendor.make("http://127.0.0.1:9")
    with pytest.raises(ProviderError) as caught:
        await provider.refresh_models()
    await provider.aclose()
    assert caught.value.kind is ErrorKind.NETWORK
    assert caught.value.__context__ is None
    assert KEY not in repr(vars(caught.value))


@every_vendor
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "gopher://user:from-outside@127.0.0.1:9"),
        ("SSL_CERT_FILE", "/no/such/from-outside.pem"),
    ],
)
async def test_a_process_that_cannot_call_anybody_does_not_rest_models_for_the_others(
    vendor: Vendor, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    provider = vendor.make("http://127.0.0.1:9")
    error = await failure(provider)
    await provider.aclose()
    assert error.kind is ErrorKind.UNAVAILABLE
    assert not error.reached
    assert not error.counts
    assert variable.partition("_")[2] in str(error)
    assert "from-outside" not in str(error)
