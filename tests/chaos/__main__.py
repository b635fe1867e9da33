"""`python -m tests.chaos --seed N`: one run; ends with one line of JSON, and with exit code 0
only if all is well.

A few messages end each process that answers them, and must end as dead letters, and nothing else.
`lost`: accepted, and no turn in any history. `duplicated`: turns committed twice and second
replies. `reordered`: steps back in the order of acceptance, in the history or at the platform.
`undelivered`: answered, and nothing at the platform. `repeated_sends`: platform calls made
again; in order where the fate of the call before was unknown, a problem elsewhere.
`recovery_s`: from the end of the last fault (and of the last message) until no lane had work.

The same seed chooses the same faults; what they hit is a matter of moments.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from pathlib import Path

import structlog
import uvloop

from sigil.config.schema import LaneSettings
from tests.chaos.mutations import MUTATIONS
from tests.chaos.run import DRAIN_S, DROPPED, LEASE_S, RENEW_S, Plan, Report, run
from tests.chaos.site import CREW


def main(argv: list[str] | None = None) -> int:
    plan = _plan(argv)
    # The gateway runs in this process, and would log each message.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    _announce(plan)
    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run(plan))
    _print(plan, report, time.monotonic() - began)
    return 1 if report.verdict.problems else 0


def _plan(argv: list[str] | None) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=2400)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--drain", type=float, default=DRAIN_S)
    parser.add_argument("--mutant", choices=sorted(MUTATIONS), default="")
    parser.add_argument("--keep", type=Path, help="a folder to leave logs and traces in")
    return Plan(**vars(parser.parse_args(argv)))


def _announce(plan: Plan) -> None:
    crew = ", ".join(f"{count} {role}" for role, count in CREW.items())
    print(
        f"seed {plan.seed}: {plan.messages} messages over {plan.sessions} sessions in "
        f"{plan.seconds:.0f} s; workers: {crew}\n"
        f"lease {LEASE_S:.0f} s, renewed every {RENEW_S:.0f} s, {DROPPED:.0%} of wake-ups dropped; "
        f"strikes: {LaneSettings().max_strikes}, as by default"
    )
    if plan.mutant:
        print(f"switched off: {plan.mutant}")
    sys.stdout.flush()


def _print(plan: Plan, report: Report, seconds: float) -> None:
    verdict = report.verdict
    print("; ".join(f"{what}: {count}" for what, count in report.figures.items()))
    print(f"drained {report.recovery_s:.1f} s after the last fault; {seconds:.0f} s in all")
    for problem in verdict.problems:
        print(f"PROBLEM: {problem}")
    print(
        json.dumps(
            {
                "seed": plan.seed,
                "accepted": report.accepted,
                "lost": verdict.lost,
                "duplicated": verdict.duplicated,
                "reordered": verdict.reordered,
                "undelivered": verdict.undelivered,
                "repeated_sends": verdict.repeated_sends,
                "recovery_s": round(report.recovery_s, 2),
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
