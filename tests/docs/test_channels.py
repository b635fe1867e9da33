"""The examples of the channels' pages, run as they stand."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from sigil.channels.base import HookRequest
from sigil.channels.webhook.listener import WebhookListener
from tests.channels.cases import FakeInbox
from tests.channels.webhook.conftest import CONTEXT, SECRET, make_settings
from tests.docs.page import File, read_steps
from tests.http.server import Connection, run_server
from tests.workers.stack import ROOT

FILES = {
    step.name: step.text
    for step in read_steps(ROOT / "docs/channels/webhook.md")
    if isinstance(step, File)
}


@pytest.mark.parametrize("name", ["send.py", "send.sh"])
async def test_the_examples_of_a_webhook_are_taken(name: str, tmp_path: Path) -> None:
    runner = {"send.py": sys.executable, "send.sh": "sh"}[name]
    if name == "send.sh" and not (shutil.which("curl") and shutil.which("openssl")):
        pytest.skip("curl or openssl is missing")
    listener, inbox = WebhookListener(CONTEXT, make_settings()), FakeInbox()

    async def answer(connection: Connection) -> None:
        lines = connection.head.decode().strip().split("\r\n")[1:]
        headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in lines)}
        request = HookRequest("POST", headers, {}, connection.body)
        response = await listener.receive_hook(request, inbox)
        head = f"HTTP/1.1 {response.status} x\r\ncontent-length: {len(response.body)}\r\n\r\n"
        connection.send(head.encode() + response.body)

    (tmp_path / name).write_text(FILES[name])
    async with run_server(answer) as server:
        environ = {**os.environ, "HOOK_SECRET": SECRET, "HOOK_URL": server.url()}
        program = await asyncio.create_subprocess_exec(
            runner, str(tmp_path / name), env=environ, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await program.communicate()
    assert program.returncode == 0
    assert json.loads(said[said.index(b"{") :])["duplicate"] is False
    assert [message.content for message in inbox.received] == ["Hello"]
