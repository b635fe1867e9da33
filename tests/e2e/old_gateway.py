"""Takes messages as the gateway of an older Sigil does: one for each line of JSON on its standard
input, which it answers by a line once it has stored it. Runs on that Sigil's tree of sources; its
argument is the configuration."""

import asyncio
import json
import sys
from pathlib import Path

from sigil import logs
from sigil.bootstrap import build
from sigil.config import load_settings
from sigil.messages import InboundMessage
from workers.publisher import wakeups


async def main(config: Path) -> None:
    settings = load_settings(config, role="gateway", environ={})
    logs.setup(settings, level="WARNING")  # to standard error
    publisher = wakeups(settings)
    gateway = build(settings, wakeups=publisher)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        await gateway.receive(InboundMessage(*json.loads(line)))
        print("stored", flush=True)
    await gateway.close()
    publisher.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
