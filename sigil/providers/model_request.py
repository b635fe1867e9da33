"""Who asks for a model, and what they may still spend."""

from __future__ import annotations

from dataclasses import dataclass

from sigil.errors import BudgetExceeded


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent and what was: tokens of the session, US dollars of the hour and day.

    A limit of None means no limit. Once a limit is reached, nothing more is allowed.
    """

    max_session_tokens: int | None = None
    used_session_tokens: int = 0
    max_hour_usd: float | None = None
    used_hour_usd: float = 0.0
    max_day_usd: float | None = None
    used_day_usd: float = 0.0

    def check(self) -> None:
        """Raises `BudgetExceeded` for the first window that is used up."""
        tokens = self.max_session_tokens
        if tokens is not None and self.used_session_tokens >= tokens:
            raise BudgetExceeded(
                f"The token budget of this session is used up "
                f"({self.used_session_tokens} of {tokens} tokens).",
                window="session",
            )
        for window, used, limit in (
            ("hour", self.used_hour_usd, self.max_hour_usd),
            ("day", self.used_day_usd, self.max_day_usd),
        ):
            if limit is not None and used >= limit:
                raise BudgetExceeded(
                    f"The budget of this {window} is used up (${used:.2f} of ${limit:.2f}).",
                    window=window,
                )


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Who asks for a model. `model` and `exclude` are full `provider/model` names."""

    workspace_id: str | None = None
    model: str | None = None
    budget: Budget | None = None
    exclude: tuple[str, ...] | list[str] | frozenset[str] | set[str] = ()
