"""What one check of `sigil doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do if the state is not ok."""

    check: str
    state: State
    detail: str
    advice: str = ""
