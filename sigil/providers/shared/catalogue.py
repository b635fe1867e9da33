"""What is known of a provider's models without asking its vendor.

Each vendor's `models.MODELS` lists those that are built in. Sources, read on 2026-11-22: the names
come from the SDKs' own lists of chat models (openai 3.54.0, anthropic 2.12.0, google-genai 3.4.0),
without models that were shut down by then; the contexts from genai-prices 0.2.3; the output limits
from the vendors' model pages. A model that is missing there has the values of its family.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from sigil.providers.base import ModelInfo

# A release has its date or number after the model's name: `-2026-11-22` (OpenAI), `-20261122`
# (Anthropic; `@20261122` on clouds), `-001`, `-11-22` or `-11-2026` (Google).
_RELEASE = re.compile(r"(?:-\d{4}-\d{2}-\d{2}|[-@]\d{8}|-\d{2}-(?:\d{4}|\d{2})|-\d{3})\Z", re.ASCII)
_STAGE = re.compile(r"-(?:latest|preview|exp)\Z")


def make_info(model: str, context: int, output: int, *, thinking: bool = True) -> ModelInfo:
    """The entry of a model that calls tools, sees pictures and reads PDFs, with its limits in
    tokens."""
    return ModelInfo(
        model,
        tools=True,
        vision=True,
        documents=True,
        thinking=thinking,
        max_context_tokens=context,
        max_output_tokens=output,
    )


class Catalogue:
    """The models of one provider: the built-in ones, until its vendor has listed its own."""

    def __init__(self, builtin: Iterable[ModelInfo] = ()) -> None:
        self._by_id = {info.id: info for info in builtin}
        self._models = tuple(self._by_id.values())

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The vendor's last list, or else the built-in one."""
        return self._models

    def find(self, model: str) -> ModelInfo:
        """The entry of a model, or of the model of which it is a dated release. Built-in entries
        count even if the vendor does not list them. An unknown model is assumed to do little."""
        plain = model.removeprefix("models/")
        undated = _RELEASE.sub("", plain)
        for name in (plain, undated, _STAGE.sub("", undated)):
            if name in self._by_id:
                return replace(self._by_id[name], id=model)
        return ModelInfo(model)

    def replace(self, models: Iterable[ModelInfo]) -> None:
        """Keeps the vendor's list."""
        listed = {info.id: info for info in models}
        self._models = tuple(listed.values())
        self._by_id = self._by_id | listed
