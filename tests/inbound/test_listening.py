"""One process listens for an account, and its listener is kept running."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from sigil.bootstrap import build
from sigil.channels.account_leases import AccountRecord
from sigil.channels.base import Inbox
from sigil.config import Settings
from sigil.errors import AccountRefused, LeaseLost, SendFailed, StoreError
from sigil.gateway import Gateway
from sigil.inbound import listening
from sigil.inbound.inbox import AccountInbox
from sigil.inbound.listening import Listening
from sigil.stores import Stores
from sigil.testing import MemoryChannel, expire_accounts, fake_stores


class Line:
    """A listener that does at each start what its script says, and listens when that is over."""

    def __init__(self, *script: Callable[[], object], name: str = "line") -> None:
        self.name = name
        self.script = list(script)
        self.inboxes: list[Inbox] = []
        self.listening = 0

    async def listen(self, inbox: Inbox) -> None:
        self.inboxes.append(inbox)
        if self.script:
            self.script.pop(0)()
            return
        self.listening += 1
        try:
            await self.run(inbox)
        finally:
            self.listening -= 1

    async def run(self, inbox: Inbox) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None: ...


def fail(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {
        "FIRST_PAUSE_S": 0.01,
        "STORE_PAUSE_S": 0.01,
        "LOOK_EVERY_S": 0.02,
        "RENEW_EVERY_S": 0.05,
    }.items():
        monkeypatch.setattr(listening, name, seconds)


@pytest.fixture
async def shared() -> AsyncIterator[Stores]:
    stores = fake_stores()
    yield stores
    await stores.backend.close()


class Host:
    """A gateway process, as far as it listens."""

    def __init__(self, stores: Stores) -> None:
        self.gateway: Gateway = build(
            Settings(), stores, channels={"line": MemoryChannel("line"), "b": MemoryChannel("b")}
        )
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, line: Line) -> AccountInbox:
        inbox = AccountInbox(self.gateway.channels.find(line.name), self.gateway)
        chore = Listening(line, inbox, self.gateway.stores.accounts).keep()
        self.tasks[line.name] = asyncio.create_task(chore)
        return inbox

    async def stop(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        for task in self.tasks.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def hosts(shared: Stores) -> AsyncIterator[Callable[[], Host]]:
    made: list[Host] = []

    def make() -> Host:
        made.append(Host(shared))
        return made[-1]

    yield make
    for host in made:
        await host.stop()


async def until(is_so: Callable[[], object | Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while True:
            found = is_so()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.005)


async def read(stores: Stores, name: str = "line") -> AccountRecord:
    [record] = await stores.accounts.list([name])
    return record


async def test_a_listener_that_fails_is_started_again(hosts: Any, shared: Stores) -> None:
    line = Line(*[fail(RuntimeError("with a token in it"))] * 3)
    hosts().start(line)
    await until(lambda: line.listening)
    assert len(line.inboxes) == 4

    async def is_tried() -> bool:
        record = await read(shared)
        return record.state == "resting" and not record.works and not record.rests

    await until(is_tried)
    line.inboxes[-1].note_activity()

    async def is_mended() -> bool:
        return (await read(shared)).works

    await until(is_mended)


async def test_a_failure_is_told_in_plain_words(
    hosts: Any, shared: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE_S", 60.0)
    hosts().start(Line(fail(RuntimeError("with a token in it"))))

    async def rests() -> bool:
        return (await read(shared)).rests > 0

    await until(rests)
    record = await read(shared)
    assert record.state == "resting"
    assert record.error == "RuntimeError; the log of the gateway says more"
    assert 40 < record.rests < 80


@pytest.mark.parametrize(
    "error",
    [
        AccountRefused("the token is wrong.", hint="Ask @BotFather for another one."),
        ExceptionGroup("tasks", [ValueError("x"), AccountRefused("no.")]),
    ],
)
async def test_a_refused_account_rests_for_minutes(
    hosts: Any, shared: Stores, error: Exception
) -> None:
    line = Line(fail(error))
    hosts().start(line)

    async def is_refused() -> bool:
        return (await read(shared)).state == "refused"

    await until(lambda: line.inboxes)
    await until(is_refused)
    assert (await read(shared)).rests > 200
    assert len(line.inboxes) == 1


async def test_a_platform_that_asks_for_a_pause_gets_it(hosts: Any, shared: Stores) -> None:
    line = Line(fail(SendFailed("too many requests.", retry_after=100.0)))
    hosts().start(line)
    await until(lambda: line.inboxes)

    async def rests() -> bool:
        return (await read(shared)).rests > 60

    await until(rests)


@pytest.mark.parametrize(
    "error", [SystemExit(), BaseExceptionGroup("", [SystemExit()]), asyncio.CancelledError()]
)
async def test_whatever_a_listener_raises_ends_nothing_else(
    hosts: Any, error: BaseException
) -> None:
    bad, good = Line(fail(error), fail(error)), Line(name="b")
    host = hosts()
    host.start(bad)
    host.start(good)
    await until(lambda: bad.listening and good.listening)
    assert len(good.inboxes) == 1


async def test_a_listener_that_returns_receives_hooks(hosts: Any, shared: Stores) -> None:
    line = Line(fail(SendFailed("the hook could not be registered.")), lambda: None)
    hosts().start(line)

    async def receives_hooks() -> bool:
        record = await read(shared)
        return record.state == "hooks" and record.works

    await until(receives_hooks)
    assert len(line.inboxes) == 2


async def test_a_silent_connection_is_opened_again(hosts: Any) -> None:
    class Silent(Line):
        silence = 0.05

    line = Silent()
    hosts().start(line)
    await until(lambda: len(line.inboxes) >= 3)
    assert line.listening <= 1


async def test_a_connection_that_shows_life_is_left_alone(hosts: Any) -> None:
    class Lively(Line):
        silence = 5.0
        shown = 0

        async def run(self, inbox: Inbox) -> None:
            while True:
                inbox.note_activity()
                self.shown += 1
                await asyncio.sleep(0.001)

    line = Lively()
    hosts().start(line)
    await until(lambda: line.shown > 50)
    assert len(line.inboxes) == 1


async def test_of_two_processes_one_listens_and_the_other_takes_over(hosts: Any) -> None:
    lines = [Line(), Line()]
    for line in lines:
        host = hosts()
        host.start(line)
        line.host = host  # type: ignore[attr-defined]
    await until(lambda: any(line.listening for line in lines))
    first, second = sorted(lines, key=lambda line: -line.listening)
    for _ in range(20):
        await asyncio.sleep(0.005)
        assert not second.listening
    await first.inboxes[0].save_cursor("7")
    await first.host.stop()  # type: ignore[attr-defined]
    await until(lambda: second.listening)
    assert await second.inboxes[0].load_cursor() == "7"
    with pytest.raises(LeaseLost):
        await first.inboxes[0].save_cursor("8")


async def test_a_lease_that_was_lost_stops_the_listener(
    hosts: Any, shared: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LEASE_S", 600.0)  # it is told, and need not guess
    line = Line()
    inbox = hosts().start(line)
    await until(lambda: line.listening)
    await expire_accounts(shared)
    other = AccountRecord("line", "elsewhere:1")
    while not await shared.accounts.hold(other, "other", ttl=60, takes=True):
        await expire_accounts(shared)
    await until(lambda: not line.listening)
    assert inbox.token is None
    assert (await read(shared)).process == "elsewhere:1"


async def test_the_store_being_away_stops_the_listener_in_time(
    hosts: Any, shared: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LEASE_S", 0.5)
    monkeypatch.setattr(listening, "MARGIN_S", 0.1)
    line = Line()
    hosts().start(line)
    await until(lambda: line.listening)
    hold = shared.accounts.hold

    async def away(*args: object, **options: object) -> bool:
        raise StoreError("the store is away.")

    monkeypatch.setattr(shared.accounts, "hold", away)
    await until(lambda: not line.listening)
    monkeypatch.setattr(shared.accounts, "hold", hold)
    await until(lambda: line.listening)
