"""`python -m tests.chaos.channels --seed N`: one run; ends with one line of JSON, and with exit
code 0 only if all is well.

People write to a bot at the strict Telegram server. Between them are a real gateway, routing, agent
and outbound processes, of which the gateway and an outbound worker are killed every 3 s. The server
asks for pauses, fails, cuts connections, and cuts them after it has done what it was asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop

from tests.chaos.channels.run import Plan, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.channels", description=__doc__)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--messages", type=int, default=Plan.messages)
    parser.add_argument("--chats", type=int, default=Plan.chats)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--drain", type=float, default=Plan.drain)
    parser.add_argument("--keep", type=Path, help="a folder to leave the logs in")
    plan = Plan(**vars(parser.parse_args()))
    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run(plan))
    verdict = report.verdict
    print("; ".join(f"{what}: {count}" for what, count in report.figures.items()))
    print(
        f"all was answered {report.recovery_s:.1f} s after the last kill; "
        f"{time.monotonic() - began:.0f} s in all"
    )
    for problem in verdict.problems:
        print(f"PROBLEM: {problem}")
    counts = ("answered", "lost", "doubled", "marked", "reordered")
    figures = {name: getattr(verdict, name) for name in counts}
    print(json.dumps({"seed": plan.seed, "written": report.written, **figures}))
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
