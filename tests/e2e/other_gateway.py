"""Takes messages as the gateway of another version of Sigil does: one for each line of JSON on its
standard input, which it answers by a line once it has stored it. Its argument is the configuration.
Runs on the tree of sources that it is given, which may be an older one."""

import asyncio
import json
import os
import sys
from pathlib import Path

import structlog

from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.messages import InboundMessage
from workers.publisher import wakeups


async def main(config: Path) -> None:
    if os.environ.get("CHAOS_NEWER"):
        from tests.chaos import newer

        newer.apply()
    settings = load_settings(config, role="gateway", environ={})
    # Standard output is for answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    publisher = wakeups(settings)
    gateway = build(settings, wakeups=publisher)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        await gateway.receive(InboundMessage(*json.loads(line)))
        print("stored", flush=True)
    await gateway.close()
    publisher.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
