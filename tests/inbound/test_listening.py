"""A channel's listener is kept running."""

import asyncio

import pytest

from sigil.channels.base import Acceptance
from sigil.inbound import listening
from sigil.inbound.listening import keep_listening
from sigil.messages.exchange import InboundMessage
from sigil.testing import MemoryChannel


class Flaky(MemoryChannel):
    """Fails `failures` times, then listens until cancelled, or ends if `ends`."""

    def __init__(self, failures: int, *, ends: bool) -> None:
        super().__init__("flaky")
        self.failures = failures
        self.ends = ends
        self.started = 0
        self.listening = asyncio.Event()

    async def listen(self, receive: object) -> None:
        self.started += 1
        if self.started <= self.failures:
            raise RuntimeError("the platform's library broke")
        self.listening.set()
        if not self.ends:
            await asyncio.Event().wait()


async def receive(message: InboundMessage) -> Acceptance:
    raise AssertionError("nothing was written")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE_S", 0.01)


async def test_a_listener_that_fails_is_started_again() -> None:
    channel = Flaky(3, ends=False)
    keeping = asyncio.create_task(keep_listening(channel, receive))
    async with asyncio.timeout(5):
        await channel.listening.wait()
    assert channel.started == 4
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_a_listener_that_returns_is_not_started_again() -> None:
    channel = Flaky(1, ends=True)
    async with asyncio.timeout(5):
        await keep_listening(channel, receive)
    assert channel.started == 2
