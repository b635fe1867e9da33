"""A peer that speaks Redis's protocol and misbehaves as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import hiredis

NOTICE = b">2\r\n$6\r\nnotice\r\n$4\r\nnews\r\n"  # a push message of RESP3


class Peer:
    """Answers `ECHO word` with the word, and a script that it does not know as Redis does."""

    def __init__(self, *, cuts: Iterable[int] = (), slowness: int = 0) -> None:
        # After how many more commands each connection is cut, in the middle of an answer.
        self._cuts = list(cuts)
        self._slowness = slowness  # in turns of the loop, before each answer
        self.speaks = asyncio.Event()  # until it is set, ECHO and what comes after it wait
        self.speaks.set()
        self.connections = 0
        self.batches: list[int] = []  # how many commands came at once
        self.words: list[bytes] = []  # those of ECHO, as they arrived
        self._writers: list[asyncio.StreamWriter] = []

    def say(self, unasked: bytes) -> None:
        """Writes to every connection, although nobody has asked anything."""
        for writer in self._writers:
            writer.write(unasked)

    @contextlib.asynccontextmanager
    async def serve(self, folder: Path) -> AsyncIterator[str]:
        """Listens inside the block, at the URL that this gives."""
        path = folder / "s"
        server = await asyncio.start_unix_server(self._talk, path)
        try:
            yield f"unix://{path}"
        finally:
            self.speaks.set()
            server.close()
            for writer in self._writers:  # Python 3.12 and later wait for their ends
                writer.close()
            await server.wait_closed()
            path.unlink(missing_ok=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        requests = hiredis.Reader()
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while received := await reader.read(1 << 20):
                requests.feed(received)
                commands = list(iter(requests.gets, False))
                if commands[0][0] in (b"ECHO", b"EVALSHA"):
                    self.batches.append(len(commands))
                for command in commands:
                    for _ in range(self._slowness):
                        await asyncio.sleep(0)
                    answer = self._answer(command)
                    if command[0] != b"ECHO":
                        writer.write(answer)
                        continue
                    await self.speaks.wait()
                    if self._is_cut():
                        writer.write(answer[: len(answer) // 2])
                        return
                    writer.write(answer)

    def _answer(self, command: list[bytes]) -> bytes:
        if command[0] == b"HELLO":
            return b"%1\r\n$5\r\nproto\r\n:3\r\n"
        if command[0] == b"ECHO":
            self.words.append(command[1])
            return NOTICE + b"$%d\r\n%s\r\n" % (len(command[1]), command[1])
        if command[0] == b"EVALSHA":
            return b"-NOSCRIPT No matching script.\r\n"
        return b"+OK\r\n"

    def _is_cut(self) -> bool:
        if not self._cuts:
            return False
        self._cuts[0] -= 1
        if self._cuts[0] > 0:
            return False
        self._cuts.pop(0)
        return True
