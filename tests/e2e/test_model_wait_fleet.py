"""Real workers and a vendor that is limited, then away: every message waits and is answered."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigil.gateway import Gateway
from sigil.messages.exchange import InboundMessage
from tests.chaos.site import until, write_config
from tests.e2e.fleet import open_fleet

RETRY_AFTER_S = 10
CHATS = 30
PLACES = {"routing": 1, "agent": 2, "outbound": 1}


@dataclass
class Vendor:
    """Answers with the person's words, or with 429. `calls` has the words of each call."""

    port: int = 0
    limited: bool = False
    calls: list[str] = field(default_factory=list)
    server: asyncio.Server | None = None

    async def __aenter__(self) -> None:
        await self.start()

    async def __aexit__(self, *exc: object) -> None:
        self.stop()

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """From now on connections are refused."""
        assert self.server is not None
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if head.startswith("get"):  # a worker asks what models there are
            writer.close()
            return
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        request = json.loads(await reader.readexactly(length))
        said = request["messages"][-1]["content"].partition("\n")[2]
        self.calls.append(said)
        writer.write(self._refuse() if self.limited else _answer(said))
        await writer.drain()
        writer.close()

    def _refuse(self) -> bytes:
        body = b'{"error": {"message": "slow down"}}'
        head = f"HTTP/1.1 429 x\r\nretry-after: {RETRY_AFTER_S}\r\ncontent-type: application/json"
        return f"{head}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _answer(said: str) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"content": said}, "finish_reason": "stop"}
    body = f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\ndata: [DONE]\n\n"
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close"
    return f"{head}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def configure(folder: Path, vendor: Vendor) -> Path:
    path = write_config(folder, lanes={}, provider={})
    config = yaml.safe_load(path.read_text())
    base_url = f"http://127.0.0.1:{vendor.port}/v1"
    config["providers"] = {"lab": {"type": "openai", "base_url": base_url, "api_key": "sk-lab"}}
    config["models"] = {"default": "lab/m", "cooldowns": [1, 2]}
    path.write_text(yaml.safe_dump(config))
    return path


def read_sent(folder: Path) -> list[str]:
    platform = folder / "platform.jsonl"
    lines = platform.read_text().splitlines() if platform.exists() else []
    return [json.loads(line)["text"] for line in lines]


async def write(gateway: Gateway, chat: str, *texts: str) -> None:
    for text in texts:
        await gateway.receive(InboundMessage("chaos", chat, text, chat, text))


async def count_ends(gateway: Gateway) -> dict[str, int]:
    days = await gateway.stores.lanes.counts()
    return dict(days.get(datetime.now(UTC).strftime("%Y-%m-%d"), {}))


@pytest.mark.slow
@pytest.mark.xdist_group("fleets")
@pytest.mark.valkey
@pytest.mark.timeout(120)
async def test_messages_wait_for_their_model_and_are_all_answered(folder: Path) -> None:
    vendor = Vendor()
    async with vendor, open_fleet(folder, configure(folder, vendor), PLACES) as (gateway, workers):

        async def are_answered(count: int) -> bool:
            ends = await count_ends(gateway)
            return ends.get("answered") == count and ends.get("sent") == ends.get("replies")

        async def is_waiting() -> bool:
            return bool(await gateway.stores.lanes.list_waits())

        # Limited once: the first waits, five more wait behind it, and both agents are killed.
        vendor.limited = True
        await write(gateway, "ann", "ann 0")
        await until("the turn waits", is_waiting, 20)
        await write(gateway, "ann", *(f"ann {number}" for number in range(1, 6)))
        for worker in workers:
            if worker.role == "agent":
                worker.kill()
                worker.start()
        vendor.limited = False
        await until("all are answered", lambda: are_answered(6), 60)
        notice, *answers = read_sent(folder)
        assert notice.startswith("The model is busy. I will answer in about ")
        assert answers == [f"ann {number}" for number in range(6)]
        assert vendor.calls == ["ann 0", *answers]

        # Away for a while, as a server that restarts: nobody is refused.
        vendor.stop()
        chats = [f"chat{number}" for number in range(CHATS)]
        for number in range(2):
            await asyncio.gather(*(write(gateway, chat, f"{chat} {number}") for chat in chats))
        await asyncio.sleep(3)  # how long the vendor is away
        await vendor.start()
        asked_before = len(vendor.calls)
        seconds = await until("all are answered", lambda: are_answered(6 + 2 * CHATS), 60)
        print(f"{2 * CHATS} messages answered {seconds:.1f} s after the vendor was back")
        assert vendor.calls[asked_before:] == [*dict.fromkeys(vendor.calls[asked_before:])]
        found = defaultdict[str, list[str]](list)
        for text in read_sent(folder)[7:]:
            found[text.partition(" ")[0]].append(text)
        assert {chat: found[chat] for chat in chats} == {
            chat: [f"{chat} 0", f"{chat} 1"] for chat in chats
        }
        ends = await count_ends(gateway)
        assert ends["accepted"] == ends["answered"] == 6 + 2 * CHATS
        report: Any = await gateway.stores.lanes.verify(deep=True)
        assert report["balanced"], report["problems"]
