"""What can be configured of an account with the Gemini API."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from sigil.providers.shared.options import VendorOptions

DEFAULT_API_VERSION = "v1"

_API_VERSION = re.compile(r"v\d+(?:(?:alpha|beta|main)\d*)?")
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")


def _check_api_version(version: Any) -> Any:
    if version is None:
        return DEFAULT_API_VERSION
    if not isinstance(version, str) or not _API_VERSION.fullmatch(version):
        raise ValueError("it is not a version; write it as v1beta")
    return version


def _check_thinking(thinking: Any) -> Any:
    if thinking is None:
        return None
    if isinstance(thinking, str) and thinking.lower() in _LEVELS:
        return thinking.lower()
    if isinstance(thinking, int) and not isinstance(thinking, bool) and thinking >= -1:
        return thinking
    raise ValueError(
        f"it is neither one of {', '.join(_LEVELS)} nor a number of tokens (-1: the model decides)"
    )


class GoogleOptions(VendorOptions):
    """Options of `GoogleProvider`.

    read_timeout: seconds from one byte to the next; None for no limit.
    api_version: the first part of the API's paths; emulators often serve `v1beta`.
    thinking: how much its models think before they answer: a level, a budget in tokens, 0 for not
        at all, or -1 to let the model decide. Which of them a model takes depends on the model.
    """

    read_timeout: float | None = 300.0
    api_version: Annotated[str, BeforeValidator(_check_api_version)] = DEFAULT_API_VERSION
    thinking: Annotated[int | str | None, BeforeValidator(_check_thinking)] = None
