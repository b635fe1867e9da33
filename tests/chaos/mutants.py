"""`python -m tests.chaos.mutants`: shows that the chaos run sees what it looks for.

A shortened run passes as things are, and fails with each safeguard switched off in turn. What
a fault hits is a matter of moments, so a mutant that gets through is tried with further seeds.
Exit code 0 only if all of that is so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from tests.chaos.mutations import MUTATIONS
from tests.chaos.site import ROOT

SEEDS = (1, 2, 3)
SECONDS = {"fence": 45, "renewal": 30}
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
    print(f"{'switched off':<14}{'seed':>5}  {'run':<8}what it showed", flush=True)
    plain = _try("", SEEDS[0], max(SECONDS.values()))
    good = plain.code == 0
    _row("nothing", plain)
    for mutant in MUTATIONS:
        outcome = _first_failure(mutant)
        good = good and outcome.code != 0
        _row(mutant, outcome)
    print("every mutant was seen" if good else "NOT every mutant was seen, or the plain run failed")
    return 0 if good else 1


def _first_failure(mutant: str) -> Outcome:
    for seed in SEEDS:
        outcome = _try(mutant, seed, SECONDS.get(mutant, SHORT_S))
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
