"""A link to Valkey that can be cut, frozen, fall silent on its open connections, or lose the reply
of a script that was executed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path

Wanted = Callable[[list[bytes]], bool]
_READ = 65536


class _Link:
    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._writers = (near, far)
        self.swallows = False
        self.speaks = asyncio.Event()
        self.speaks.set()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


class Proxy:
    """One process's way to Valkey: a unix socket of its own in front of the server's."""

    def __init__(self, address: Path, server: Path) -> None:
        self.address = address
        self.swallowed = 0
        self._server = server
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._wanted: Wanted | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        self._listener = await asyncio.start_unix_server(self._accept, self.address)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut_all(self) -> None:
        for link in list(self._links):
            link.cut()

    def cut_one(self, rng: random.Random) -> None:
        if self._links:
            rng.choice(list(self._links)).cut()

    async def freeze(self, seconds: float) -> None:
        """Nothing passes for that long, then everything does, late."""
        self._open.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._open.set()

    async def silence(self, seconds: float) -> None:
        """Nothing passes for that long on the connections that are open now, and none of them ends;
        new ones work. What was on its way arrives late."""
        silent = list(self._links)
        for link in silent:
            link.speaks.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            for link in silent:
                link.speaks.set()

    def swallow(self, wanted: Wanted | None) -> None:
        """The next request that is `wanted` reaches the server; its reply is lost with its
        connection. The request is given as the lines of its first packet."""
        self._wanted = wanted

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: asyncio would report each one that is cancelled at the end.
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._server)
        except OSError:  # Valkey is down
            writer.transport.abort()
            return
        link = _Link(writer, far_writer)
        self._links.add(link)
        pumps = (
            asyncio.create_task(self._up(link, reader, far_writer)),
            asyncio.create_task(self._down(link, far_reader, writer)),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for pump in pumps:
                pump.cancel()
            link.cut()

    async def _let_pass(self, link: _Link) -> None:
        await self._open.wait()
        await link.speaks.wait()

    async def _up(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ):
                await self._let_pass(link)
                if self._wanted is not None and self._wanted(data[:2048].split(b"\r\n")):
                    self._wanted = None
                    link.swallows = True
                writer.write(data)
                await writer.drain()

    async def _down(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ):
                if link.swallows:
                    self.swallowed += 1
                    return
                await self._let_pass(link)
                writer.write(data)
                await writer.drain()


def calls(sha: str) -> Wanted:
    """Requests that run the script of this hash."""
    return lambda lines: len(lines) > 4 and lines[2] == b"EVALSHA" and lines[4] == sha.encode()


def commits_that_keep(sha: str) -> Wanted:
    """Commits that remove items and keep the lease: the lines are a count, then a length
    before each of EVALSHA, hash, 0, prefix, lane, token, n, keep, number of done ids."""
    is_commit = calls(sha)
    return lambda lines: (
        is_commit(lines) and len(lines) > 18 and lines[16] == b"1" and lines[18] != b"0"
    )
