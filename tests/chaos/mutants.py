"""`python -m tests.chaos.mutants [--quick] [NAME…]`: shows that tests see what they look for.

First some tests run with one safeguard switched off at a time, and must fail; this takes seconds,
and with `--quick` it is all.

Then the chaos run: a shortened one passes as things are, and fails with each safeguard switched off
in turn. What a fault hits is a matter of moments, so a mutant that gets through is tried with
further seeds. Exit code 0 only if all of that is so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass

from tests.chaos.mutations import MUTATIONS, QUICK_MUTATIONS
from tests.chaos.site import ROOT

SEEDS = (1, 2, 3)
SHORT_S = 20
PER_SECOND, SESSIONS = 40, 32
LONGEST_S = 240


@dataclass(frozen=True)
class Outcome:
    """How one run ended; `problems` are what it complained about."""

    seed: int
    code: int
    problems: tuple[str, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only what single tests find")
    every = [*QUICK_MUTATIONS, *MUTATIONS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(every))
    plan = parser.parse_args()
    if unknown := set(plan.names) - set(every):
        parser.error(f"there is no mutant {min(unknown)}")
    names = plan.names or every
    seen = _try_quick_ones([name for name in names if name in QUICK_MUTATIONS])
    slow = [name for name in names if name in MUTATIONS]
    if slow and not plan.quick:
        seen = _try_chaos(slow) and seen
    print("every mutant was seen" if seen else "NOT every mutant was seen, or the plain run failed")
    return 0 if seen else 1


def _try_quick_ones(mutants: list[str]) -> bool:
    print(f"{'switched off':<24}what it showed", flush=True)
    good = True
    for mutant in mutants:
        failure = _find_failure(mutant, QUICK_MUTATIONS[mutant][1])
        good = good and failure is not None
        print(f"{mutant:<24}{failure or 'NOTHING'}", flush=True)
    return good


def _find_failure(mutant: str, files: tuple[str, ...]) -> str | None:
    """The first test that fails on a mutant."""
    options = ("-q", "-x", "-p", "tests.chaos.mutated", "-p", "no:cacheprovider")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT,
        env=os.environ | {"SIGIL_MUTANT": mutant},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    failed = [line for line in ended.stdout.splitlines() if line.startswith("FAILED ")]
    if ended.returncode not in (0, 1) or (ended.returncode == 1 and not failed):
        raise RuntimeError(f"the tests broke off:\n{ended.stdout}\n{ended.stderr}")
    return failed[0].removeprefix("FAILED ").split(" - ")[0] if failed else None


def _try_chaos(mutants: list[str]) -> bool:
    print(f"{'switched off':<14}{'seed':>5}  {'run':<8}what it showed", flush=True)
    plain = _try("", SEEDS[0], 2 * SHORT_S)
    good = plain.code == 0
    _row("nothing", plain)
    for mutant in mutants:
        outcome = _first_failure(mutant)
        good = good and outcome.code != 0
        _row(mutant, outcome)
    return good


def _first_failure(mutant: str) -> Outcome:
    for seed in SEEDS:
        outcome = _try(mutant, seed, SHORT_S)
        if outcome.code != 0:
            break
    return outcome


def _try(mutant: str, seed: int, seconds: int) -> Outcome:
    command = [
        *(sys.executable, "-m", "tests.chaos", "--seed", str(seed), "--seconds", str(seconds)),
        *("--messages", str(seconds * PER_SECOND), "--sessions", str(SESSIONS)),
    ]
    if mutant:
        command += ["--mutant", mutant]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    lines = ended.stdout.splitlines()
    if not lines or not _is_figures(lines[-1]):
        raise RuntimeError(f"the run broke off:\n{ended.stdout}\n{ended.stderr}")
    problems = [line.removeprefix("PROBLEM: ") for line in lines if line.startswith("PROBLEM: ")]
    return Outcome(seed, ended.returncode, tuple(problems))


def _is_figures(line: str) -> bool:
    try:
        return "recovery_s" in json.loads(line)
    except ValueError:
        return False


def _row(name: str, outcome: Outcome) -> None:
    verdict = "fails" if outcome.code else "passes"
    first, *others = outcome.problems or ("",)
    print(f"{name:<14}{outcome.seed:>5}  {verdict:<8}{first}", flush=True)
    for problem in others:
        print(f"{'':<29}{problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
