"""Commands, each called where nothing is configured."""

import os

import pytest
from typer.testing import CliRunner

from sigil.channels.account_leases import AccountRecord
from sigil.cli import app
from sigil.stores.base import Memory


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Each test starts where nothing is configured."""
    for name in [name for name in os.environ if name.startswith("SIGIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call():
    """Runs a command; returns its exit code, stdout and stderr."""

    def call(*words: object, stdin: str | bytes | None = None) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return call


class FakeLanes:
    def __init__(self, balanced: bool) -> None:
        self.balanced = balanced
        self.waits = []

    async def counts(self):
        day = {
            "accepted": 10,
            "duplicate": 1,
            "answered": 4,
            "failed": 1,
            "refused": 2,
            "stopped": 1,
            "dead": 0,
        }
        return {"2026-11-21": {"accepted": 1, "answered": 1}, "2026-11-22": day}

    async def list_waits(self):
        return self.waits

    async def verify(self, *, deep=False):
        problems = [] if self.balanced else ["one is lost"]
        report = {"balanced": self.balanced, "days": {}, "problems": problems}
        return report | ({"lost": []} if deep else {})


class FakeHealth:
    def __init__(self) -> None:
        self.known = []

    async def list_cooldowns(self):
        return self.known


class FakeFleet:
    def __init__(self) -> None:
        self.known = []

    async def list(self):
        return self.known


class FakeAccounts:
    def __init__(self) -> None:
        self.known = {}

    async def list(self, names):
        return [self.known.get(name, AccountRecord(name, is_held=False)) for name in names]


class FakeWakeups:
    def __init__(self) -> None:
        self.waiting = {}

    async def backlog(self, stage):
        return self.waiting.get(stage, 0)

    def close(self):
        pass


class FakeBackend:
    closed = False
    refusal = None

    async def ping(self):
        pass

    async def check_start(self):
        pass

    async def check_room(self):
        if self.refusal is not None:
            raise self.refusal

    async def read_memory(self):
        return Memory(100, 1000, takes_messages=self.refusal is None)

    async def list_warnings(self):
        return ["appendonly is off."]

    async def close(self):
        self.closed = True


class FakeAccountRests:
    async def list(self, entries):
        return []


@pytest.fixture
def fake_redis(monkeypatch):
    """Stands in for the stores; returns what counts and whether a recount balances."""

    class FakeStores:
        lanes = FakeLanes(balanced=True)
        health = FakeHealth()
        fleet = FakeFleet()
        accounts = FakeAccounts()
        account_rests = FakeAccountRests()
        wakeups = FakeWakeups()
        backend = FakeBackend()

    monkeypatch.setenv("SIGIL_REDIS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("sigil.stores.connect", lambda *_args, **_options: FakeStores)
    monkeypatch.setattr("workers.publisher.wakeups", lambda _settings: FakeStores.wakeups)
    yield FakeStores
    assert FakeStores.backend.closed


@pytest.fixture
def real_redis(valkey_url, monkeypatch, request):
    monkeypatch.setenv("SIGIL_REDIS__URL", valkey_url)
    monkeypatch.setenv("SIGIL_REDIS__PREFIX", f"{abs(hash(request.node.name))}:")
