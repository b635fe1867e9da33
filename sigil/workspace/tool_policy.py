"""Which tools a workspace's agent may use: patterns over dotted names.

allow: calendar.*       calendar.create  → allowed
deny:  calendar.delete  calendar.delete  → denied, because deny wins
                        shopping.add     → denied, because nothing allows it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Which tools an agent may use: `allow` lists them, `deny` wins; no `allow`, no tool.

    Names are compared exactly. In a pattern the segment `*` stands for one or more
    dot-separated segments: `calendar.*` matches `calendar.create`, but not `calendar`.
    """

    allow: Sequence[str] = ()
    deny: Sequence[str] = ()

    def allows(self, name: str) -> bool:
        """Also false for a name that is empty or has an empty segment."""
        segments = name.split(".")
        if not all(segments):
            return False
        return _any_matches(self.allow, segments) and not _any_matches(self.deny, segments)


def is_pattern(text: str) -> bool:
    """Whether each segment is a name or `*`. Taken literally, `exec*` would deny nothing
    without a word, so such a pattern is an error in a configuration."""
    return all(part and (part == "*" or "*" not in part) for part in text.split("."))


def _any_matches(patterns: Sequence[str], segments: Sequence[str]) -> bool:
    return any(_matches(pattern.split("."), segments) for pattern in patterns)


def _matches(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    # `ends` holds how many segments the pattern so far can have used up. One pass over it keeps
    # a pattern of many stars from taking exponential time.
    ends = {0}
    for part in pattern:
        if part == "*":
            ends = set(range(min(ends) + 1, len(segments) + 1)) if ends else ends
        else:
            ends = {n + 1 for n in ends if n < len(segments) and segments[n] == part}
    return len(segments) in ends
