"""One safeguard switched off, inside a process of a test run and nowhere else.

`MUTATIONS` are found by the chaos run, `QUICK_MUTATIONS` by single tests within seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sigil.gateway import Gateway
from sigil.lanes.leases import LeaseKeeper
from sigil.stores.redis import client


def _edit_scripts(pattern: str, replacement: str, *names: str) -> None:
    original = client.script_text

    def script_text(name: str) -> str:
        text = original(name)
        if name not in names:
            return text
        edited, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count == 1, f"{pattern} was found {count} times in {name}.lua"
        return edited

    for name in names:
        script_text(name)
    client.script_text = script_text


def _without_check(comment: str, script: str) -> None:
    _edit_scripts(rf"^.*-- check: {comment}$", "", script)


def _no_fence() -> None:
    _without_check("fence", "commit")


def _no_last_commit() -> None:
    _without_check("last commit", "commit")


def _no_duplicates() -> None:
    # The one question that push.lua and the push effect both ask.
    was_pushed = r"^(local function was_pushed\(.*\))$"
    _edit_scripts(was_pushed, r"\1 if true then return false end", "push", "commit")


def _no_sweep() -> None:
    async def recover(self: Any) -> None:
        return None

    Gateway.recover = recover  # type: ignore[method-assign]


def _no_renewal() -> None:
    def tick(self: Any) -> None:
        return None

    LeaseKeeper._tick = tick  # type: ignore[method-assign]


# ---------------------------------------------------------------- what single tests find

COMMITS = ("push", "commit", "show")


def _count_ends_today() -> None:
    first = r"(if record\[field\] then return end\n  local day = )record\.day or today\(\)"
    _edit_scripts(first, r"\1today()", *COMMITS)


def _forget_proofs_after_a_minute() -> None:
    _edit_scripts(r"(redis\.call\('EXPIRE', key, )ttl(\)\n  record\.day)", r"\1 60\2", *COMMITS)


def _settle_nothing_while_sweeping() -> None:
    original = Gateway._try

    async def _try(self: Any, part: Any) -> Any:
        return None if part.__name__ == "expire_holds" else await original(self, part)

    Gateway._try = _try  # type: ignore[method-assign]


def _let_late_drafts_through() -> None:
    _edit_scripts(r"if is_done or mine < last_token then", "if is_done then", "draft")


def _let_the_token_fall_with_the_clock() -> None:
    _edit_scripts(r"math\.max\(read_int\(token\) \+ 1, NOW_US\)", "NOW_US", "take")


def _let_pushed_items_expire() -> None:
    _edit_scripts(r"^ *redis\.call\('PERSIST', item_key\(id\)\)$", "", *COMMITS)


def _wake_lanes_that_are_held() -> None:
    _edit_scripts(r"if state\[1\] == '1' or \((waiting > 1 .*)\) then", r"if \1 then", *COMMITS)


def _blame_every_loss() -> None:
    _edit_scripts(r"if state\.alone == token then (strikes = strikes \+ 1) end", r"\1", "take")


def _believe_times_that_lie_ahead() -> None:
    ahead = r"return read_int\(written_at\) > NOW \+ CLOCK_SLACK"
    _edit_scripts(ahead, "return false", "take", "sweep")


def _write_as_if_there_were_room() -> None:
    _edit_scripts(r"^  redis\.call\('DEL', P \.\. 'nothing'\)$", "", "take", "renew", "sweep")


LANE_TESTS = (
    "tests/contracts/test_lane_clock_contract.py",
    "tests/contracts/test_lane_waiting_contract.py",
    "tests/contracts/test_lane_contract.py",
    "tests/contracts/test_lane_again_contract.py",
    "tests/contracts/test_lane_effects_contract.py",
)

# What switches the safeguard off, and the files with a test that fails then.
QUICK_MUTATIONS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "finish-day": (_count_ends_today, ("tests/contracts/test_clock_contract.py",)),
    "dedupe-ttl": (_forget_proofs_after_a_minute, LANE_TESTS[-1:]),
    "recover-expire": (_settle_nothing_while_sweeping, ("tests/test_gateway.py",)),
    "draft-token": (_let_late_drafts_through, ("tests/contracts/test_draft_contract.py",)),
    "take-token-clock-back": (_let_the_token_fall_with_the_clock, LANE_TESTS),
    "push-persist": (_let_pushed_items_expire, LANE_TESTS),
    "append-held": (_wake_lanes_that_are_held, LANE_TESTS),
    "blame": (_blame_every_loss, ("tests/contracts/test_lane_blame_contract.py",)),
    "times-ahead": (_believe_times_that_lie_ahead, LANE_TESTS[:1]),
    # A chaos run meets these two by luck only.
    "fence": (_no_fence, LANE_TESTS),
    "renewal": (_no_renewal, ("tests/lanes/test_leases.py",)),
    "room-to-finish": (_write_as_if_there_were_room, ("tests/stores/test_all_or_nothing.py",)),
}

# ---------------------------------------------------------------- what the chaos run finds

MUTATIONS: dict[str, Callable[[], None]] = {
    "duplicate": _no_duplicates,
    "last-commit": _no_last_commit,
    "sweep": _no_sweep,
}


def apply(name: str) -> None:
    """Switches the safeguard off in this process; an empty name changes nothing."""
    if name in QUICK_MUTATIONS:
        QUICK_MUTATIONS[name][0]()
    elif name:
        MUTATIONS[name]()
