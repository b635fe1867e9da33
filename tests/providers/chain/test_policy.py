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
WAITS = {ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED}
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


@pytest.mark.parametrize("kind", sorted(set(ALL) - FINAL - QUICK))
@pytest.mark.parametrize("said", [0, 3])
def test_only_the_last_hope_is_waited_for(kind: ErrorKind, said: int) -> None:
    verdict = after(failure(kind, retry_after=30), said=said)
    assert (verdict.move is Move.AGAIN) is (kind in WAITS)
    if kind in WAITS:
        assert (verdict.keeps_grant, verdict.last_hope_only) == (False, True)
        assert 30 < verdict.pause < 31


def test_what_is_overloaded_is_not_tried_before_the_time_it_asked_for() -> None:
    verdict = after(failure(ErrorKind.OVERLOADED, retry_after=30))
    assert (verdict.keeps_grant, verdict.last_hope_only) == (False, True)
    assert verdict.pause > 30
    assert after(failure(ErrorKind.NETWORK, retry_after=30)).pause < 1


@pytest.mark.parametrize("kind", sorted(WAITS))
@pytest.mark.parametrize("seconds", [60.1, 3600.0, float("inf"), float("nan")])
def test_nobody_waits_longer_than_a_minute(kind: ErrorKind, seconds: float) -> None:
    assert after(failure(kind, retry_after=seconds)) == Verdict(Move.NEXT)


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_a_wait_is_at_least_as_long_as_the_rest(seconds: float) -> None:
    pause = after(failure(ErrorKind.RATE_LIMITED, retry_after=seconds)).pause
    assert pause > policy.SHORTEST_RETRY_AFTER_S


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
        Again.AS_ASKED: "else see `Retry-After`",
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
