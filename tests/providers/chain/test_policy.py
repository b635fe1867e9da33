"""The table of failures: what it decides, and that the guide says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sigil.config import Settings
from sigil.errors import BudgetExceeded, ErrorKind, PriceUnknown, ProviderError
from sigil.errors.failures import POLICY, Again, Billed, Next, Rule, Told
from sigil.providers import Usage
from sigil.providers.chain import policy
from sigil.providers.chain.attempt import AttemptResult
from sigil.providers.chain.policy import Move, Verdict, decide
from sigil.providers.chain.record import AttemptRecord
from tests.providers.chain.chains import failure

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "models.md"
ALL = list(ErrorKind)
QUICK = {ErrorKind.NETWORK, ErrorKind.OVERLOADED}
OTHER_KEY = {ErrorKind.RATE_LIMITED, ErrorKind.AUTH, ErrorKind.BILLING}
PASSES = {*QUICK, ErrorKind.RATE_LIMITED, ErrorKind.SERVER, ErrorKind.TIMEOUT}
FINAL = {ErrorKind.INVALID_REQUEST, ErrorKind.FILTERED}


def after(error: ProviderError | None, *, said: int = 0, number: int = 1, keys: int = 1) -> Verdict:
    record = AttemptRecord("a/m", error is None, 0.0, Usage(), error, said=said)
    result = AttemptResult(error is None, error, said > 0, record)
    return decide(result, number=number, keys=keys)


# ------------------------------------------------------------------ again, next, end


def test_every_class_has_a_rule() -> None:
    assert set(POLICY) == set(ErrorKind)


def test_an_answer_is_the_end_and_so_is_a_cancelled_attempt() -> None:
    assert after(None) == Verdict(Move.END)
    assert decide(AttemptResult(False, None, True), number=1, keys=3) == Verdict(Move.END)


@pytest.mark.parametrize("kind", ALL)
def test_only_what_may_be_over_in_a_moment_is_tried_again_at_once(kind: ErrorKind) -> None:
    verdict = after(failure(kind))
    move = Move.END if kind in FINAL else Move.AGAIN if kind in QUICK else Move.NEXT
    assert verdict.move is move
    if move is Move.AGAIN:
        least, most = policy.QUICK_PAUSE_S
        assert least <= verdict.pause <= most
        assert (verdict.keeps_grant, verdict.last_hope_only) == (True, False)


@pytest.mark.parametrize("kind", ALL)
def test_after_it_has_spoken_only_the_last_hope_is_tried_again(kind: ErrorKind) -> None:
    verdict = after(failure(kind), said=3)
    assert verdict.move is after(failure(kind)).move
    assert verdict.last_hope_only is (kind in QUICK)


@pytest.mark.parametrize("kind", sorted(set(ALL) - FINAL))
def test_nothing_is_tried_a_third_time(kind: ErrorKind) -> None:
    assert after(failure(kind), number=2).move is Move.NEXT
    assert after(failure(kind, retry_after=1), number=2).move is Move.NEXT


@pytest.mark.parametrize("kind", ALL)
def test_another_key_helps_against_what_belongs_to_a_key(kind: ErrorKind) -> None:
    for number in (1, 2):
        verdict = after(failure(kind, retry_after=30), said=3, number=number, keys=3)
        assert (verdict == Verdict(Move.AGAIN)) is (kind in OTHER_KEY)
    assert after(failure(kind), number=3, keys=3).move is not Move.AGAIN


@pytest.mark.parametrize("kind", sorted(QUICK))
def test_who_names_a_time_is_not_tried_before_it(kind: ErrorKind) -> None:
    assert after(failure(kind, retry_after=0.5)) == Verdict(Move.NEXT)


def test_only_what_rests_and_may_pass_is_waited_for() -> None:
    assert {kind for kind, rule in POLICY.items() if rule.waits} == PASSES
    assert all(POLICY[kind].transient and POLICY[kind].rest is not None for kind in PASSES)


def test_no_money_is_the_end_and_an_unknown_price_is_not() -> None:
    spent = BudgetExceeded("the budget is used up", window="day")
    assert after(spent, keys=3) == Verdict(Move.END)
    assert after(PriceUnknown("a/m"), keys=3) == Verdict(Move.NEXT)


# ------------------------------------------------------------------ the guide


def guide_rows() -> dict[str, dict[str, str]]:
    """The table of "When a call fails": its cells by class and by column."""
    section = re.search(
        r"^## When a call fails\n(.*?)(?=^#)", GUIDE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert section is not None
    header, _, *rows = re.findall(r"^\| (.*) \|$", section[1], re.MULTILINE)
    columns = header.split(" | ")
    cells = [dict(zip(columns, row.split(" | "), strict=True)) for row in rows]
    return {row["class"].strip("`"): row for row in cells}


def in_words(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def again_in_words(rule: Rule) -> str:
    least, most = policy.QUICK_PAUSE_S
    words = {
        Again.WITH_ANOTHER_KEY: "at once with another key",
        Again.SOON: f"once, after {least:g} to {most:g} s",
    }
    return "; ".join(words[each] for each in rule.again) or "no"


def rest_in_words(rule: Rule) -> str:
    if rule.rest is None:
        return "none"
    steps = rule.rest or tuple(Settings().models.cooldowns)
    return (", then " if rule.rest else ", ").join(map(in_words, steps))


@pytest.mark.parametrize("kind", ALL)
def test_the_guide_says_what_the_table_says(kind: ErrorKind) -> None:
    rule, row = POLICY[kind], guide_rows()[kind.value]
    assert row["again?"] == again_in_words(rule)
    assert (
        row["next model?"]
        == {
            Next.ANY: "yes",
            Next.LARGER: "only one with a larger context",
            Next.NONE: "no",
        }[rule.next]
    )
    assert row["cooldown"] == rest_in_words(rule)
    assert row["waited for?"] == ("yes" if rule.waits else "no")
    assert (
        row["charged"]
        == {
            Billed.NOTHING: "nothing",
            Billed.WHAT_CAME: "what came",
            Billed.MORE_THAN_CAME: "what came, and more",
        }[rule.billed]
    )
    assert row["may pass?"] == ("yes" if rule.transient else "no")
    assert (
        row["people read"]
        == {
            Told.TRY_LATER: "try again later",
            Told.START_ANEW: "/new",
            Told.REJECTED: "rejected",
        }[rule.told]
    )


def test_an_error_is_transient_by_its_rule() -> None:
    for kind, rule in POLICY.items():
        assert ProviderError("no", kind=kind).transient is rule.transient
    assert not ProviderError("no", kind="of its own").transient  # type: ignore[arg-type]
