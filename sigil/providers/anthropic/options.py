"""What can be configured of an account with Anthropic."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from sigil.providers.shared.options import VendorOptions

Thinking = int | Literal["adaptive", "disabled", "between_tools"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]

MIN_THINKING_BUDGET = 1024

_MODES = ("adaptive", "disabled", "between_tools")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def _check_thinking(thinking: Any) -> Any:
    is_number = isinstance(thinking, int) and not isinstance(thinking, bool)
    if thinking in (None, *_MODES) or (is_number and thinking >= MIN_THINKING_BUDGET):
        return thinking
    raise ValueError(
        f"it is neither one of {', '.join(_MODES)} nor a number of tokens of at least "
        f"{MIN_THINKING_BUDGET}"
    )


def _check_effort(effort: Any) -> Any:
    if effort not in (None, *_EFFORTS):
        raise ValueError(f"it is none of {', '.join(_EFFORTS)}")
    return effort


class AnthropicOptions(VendorOptions):
    """Options of `AnthropicProvider`.

    read_timeout: seconds from one byte to the next; None for no limit.
    prompt_caching: mark what the vendor should cache.
    thinking: a budget in tokens (at least 1024, for models up to Claude Opus 4.6), `adaptive`,
        `disabled` or `between_tools`; None leaves it to the model.
    effort: how hard newer models try.
    send_user_id: send the person's opaque name.
    """

    read_timeout: float | None = 300.0
    prompt_caching: bool | None = True
    thinking: Annotated[Thinking | None, BeforeValidator(_check_thinking)] = None
    effort: Annotated[Effort | None, BeforeValidator(_check_effort)] = None
    send_user_id: bool | None = False
