"""The verdict notices what it is there for."""

from __future__ import annotations

import pytest

from tests.chaos.channels.verdict import judge

WRITTEN = {7: ["c007-000", "c007-001", "c007-002"]}
WELL = ["c007-000 is", "c007-001 is", "c007-002 is"]


def test_all_is_well() -> None:
    verdict = judge(WRITTEN, {7: WELL}, set())
    assert (verdict.answered, verdict.problems) == (3, [])


def test_a_double_of_an_unknown_send_is_in_order() -> None:
    verdict = judge(WRITTEN, {7: [WELL[0], *WELL]}, {"c007-000"})
    assert (verdict.doubled, verdict.marked, verdict.problems) == (1, 1, [])


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        (WELL[:2], "1 answers lost"),
        ([WELL[1], WELL[0], WELL[2]], "1 answers reordered"),
        ([*WELL, WELL[0]], "1 answers doubled without a mark"),
        ([*WELL, "half an answer"], "nobody asked for"),
    ],
)
def test_what_is_wrong(shown: list[str], problem: str) -> None:
    assert problem in "; ".join(judge(WRITTEN, {7: shown}, set()).problems)


def test_impatience() -> None:
    assert "pause" in "; ".join(judge(WRITTEN, {7: WELL}, set(), early=1).problems)
