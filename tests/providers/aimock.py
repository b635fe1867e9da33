"""`@copilotkit/aimock`, which speaks the APIs of all vendors: one process for all tests.

It is installed by `npm ci` in tests/node. Its CommonJS build also runs on Debian 12's Node.js.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.providers.exchange import KEY
from tests.providers.wires.openai_chat import CHAT
from tests.providers.wires.openai_responses import RESPONSES
from tests.providers.wires.wire import Wire

Json = dict[str, Any]
HERE = Path(__file__).parents[1] / "node"
CLI = HERE / "node_modules/@copilotkit/aimock/dist/cli.cjs"
FIXTURES = HERE / "aimock.json"


@dataclass(frozen=True)
class Aimock:
    """The running server. It takes requests with `KEY` only."""

    address: str

    def url(self, wire: Wire) -> str:
        """The `base_url` for this API, in the form that its SDK expects."""
        return f"{self.address}/v1" if wire in (CHAT, RESPONSES) else self.address

    @contextmanager
    def chaos(self, fault: str) -> Iterator[None]:
        """Every request meets the fault: `rateLimitRate`, `malformedRate`, …"""
        self._call("POST", "chaos", {fault: 1})
        try:
            yield
        finally:
            self._call("DELETE", "chaos")

    def forget(self) -> None:
        """Empties the journal."""
        self._call("POST", "reset/journal", {})

    def journal(self) -> list[Json]:
        """Every request since `forget`, its body in the form of OpenAI's chat completions."""
        entries: list[Json] = self._call("GET", "journal")
        return entries

    def _call(self, method: str, what: str, body: Json | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.address}/__aimock/{what}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def aimock() -> Iterator[Aimock]:
    """Skips where Node.js or the package is missing; fails there if peers are required."""
    from tests.conftest import missing_peer

    node = shutil.which("node")
    if node is None:
        missing_peer("Node.js (node)")
    if not CLI.exists():
        missing_peer("aimock (npm ci --prefix tests/node)")
    options = ["-p", "0", "-h", "127.0.0.1", "--validate-on-load", "--strict", "--chunk-size", "6"]
    process = subprocess.Popen(
        [node, str(CLI), "-f", str(FIXTURES), *options],
        env={"PATH": os.environ["PATH"], "AIMOCK_API_KEYS": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Aimock(_read_address(process))
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _read_address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        output.append(line)
        if found := re.search(r"listening on (http://\S+)", line):
            return found.group(1)
    raise RuntimeError(f"aimock did not start: {''.join(output)}")
