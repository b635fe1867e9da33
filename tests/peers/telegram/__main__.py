"""`python -m tests.peers.telegram [--port N]`: the server as a process of its own. It prints its
address, and serves one bot until it is ended; `POST /control/…` makes people write and faults
happen."""

from __future__ import annotations

import argparse
import asyncio

from tests.peers.telegram.server import Server


async def _run(port: int) -> None:
    server = Server()
    await server.start(port)
    print(server.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.peers.telegram", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_run(parser.parse_args().port))
