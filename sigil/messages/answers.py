"""What an answer carries beside its text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a person may do next. Choosing it sends the message `id`, which can also be
    typed; `label` is what its button says."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class AnswerDetails:
    """How an answer came about.

    `model` is the full name of the one that answered. `seconds` run from when the turn began to
    ask until the answer was complete, with all attempts, but without the wait behind other turns.
    The tokens and the `cost` (micro-dollars, None if a price is unknown) are those of all
    attempts. `broke_off` are the models whose answer broke off before `model` began anew,
    `cut_at` the limit in output tokens that ended the answer, if one did.
    """

    model: str
    seconds: float
    input_tokens: int
    output_tokens: int
    cost: int | None
    broke_off: tuple[str, ...] = ()
    cut_at: int | None = None
    stopped: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "broke_off", tuple(self.broke_off))
