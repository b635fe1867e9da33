"""Requests as Anthropic's Messages API takes them: https://platform.claude.com/docs/en/api/messages"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sigil.conversation import Image, Message
from sigil.errors import ConfigError
from sigil.providers.base import ChatRequest
from sigil.providers.shared.vendor import ToolNames, inline, replayed, schema_of

API = "anthropic"
"""The name of this API in `Native`."""

Json = dict[str, Any]
Thinking = int | Literal["adaptive", "disabled", "between_tools"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]

_MODES = ("adaptive", "disabled", "between_tools")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_MIN_BUDGET = 1024
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_MARK = {"type": "ephemeral"}
_MAX_USER_ID = 256
_NO_ID_CHARACTERS = re.compile(r"[^a-zA-Z0-9_-]")
# Models before Claude Opus 4.7 let their temperature be set, in the version of the API before
# 2026-10-21, which refuses it for all: https://platform.claude.com/docs/en/api/migration-2026-10-21
_SAMPLED = re.compile(
    r"claude-(?:instant|[123][.-]|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:[-@]\d{8}.*|-latest)?\Z)"
)
SAMPLING_VERSION = "2023-06-01"


@dataclass(frozen=True, slots=True)
class Options:
    """What is configured of every request. Raises `ConfigError`."""

    provider: str
    prompt_caching: bool
    thinking: Thinking | None
    effort: Effort | None
    send_user_id: bool

    def __post_init__(self) -> None:
        budget = self.thinking
        if isinstance(budget, bool) or (
            budget is not None
            and budget not in _MODES
            and not (isinstance(budget, int) and budget >= _MIN_BUDGET)
        ):
            raise ConfigError(
                f"providers.{self.provider}.options.thinking is neither one of "
                f"{', '.join(_MODES)} nor a number of tokens of at least {_MIN_BUDGET}."
            )
        if self.effort is not None and self.effort not in _EFFORTS:
            raise ConfigError(
                f"providers.{self.provider}.options.effort is none of {', '.join(_EFFORTS)}."
            )


def payload(request: ChatRequest, options: Options, *, thoughts: bool = True) -> Json:
    """The body of a request; it has a temperature only if `SAMPLING_VERSION` is to be used.

    Without `thoughts` the model's earlier ones are left out.
    """
    names = ToolNames(request.tools)
    body: Json = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": _messages(request, names, thoughts),
    }
    if request.stream:
        body["stream"] = True
    if request.system_prompt and request.system_prompt.strip():
        body["system"] = [{"type": "text", "text": request.system_prompt}]
    if request.tools:
        body["tools"] = [
            {
                "name": names.wire(tool.name),
                "description": tool.description,
                "input_schema": schema_of(tool.parameters),
            }
            for tool in request.tools
        ]
        body["tool_choice"] = {"type": "auto"}
    if options.effort is not None:
        body["output_config"] = {"effort": options.effort}
    if options.send_user_id and request.user:
        body["metadata"] = {"user_id": request.user[:_MAX_USER_ID]}
    thinking = _thinking(request, options, body["messages"])
    if thinking is not None:
        body["thinking"] = thinking
    thinks = thinking is not None and thinking["type"] in ("enabled", "adaptive")
    if request.temperature is not None and not thinks and _is_sampled(request.model):
        body["temperature"] = min(request.temperature, 1.0)
    if options.prompt_caching:
        _mark(body)
    return body


def has_thoughts(body: Json) -> bool:
    """Whether earlier thoughts of the model are sent back to it."""
    return any(
        block["type"] in _THOUGHTS for message in body["messages"] for block in message["content"]
    )


def _is_sampled(model: str) -> bool:
    # Other vendors' models behind the same API have a temperature, too.
    return "claude" not in model or _SAMPLED.search(model) is not None


def _thinking(request: ChatRequest, options: Options, messages: Sequence[Json]) -> Json | None:
    if not isinstance(options.thinking, int):
        return None if options.thinking is None else {"type": options.thinking}
    budget = min(options.thinking, request.max_tokens - 1)
    if budget < _MIN_BUDGET or _goes_on_without_thoughts(messages):
        return None
    return {"type": "enabled", "budget_tokens": budget}


def _goes_on_without_thoughts(messages: Sequence[Json]) -> bool:
    """Whether the last tool calls were made without a thought, for instance by another vendor's
    model: a request with a budget for thinking is refused then."""
    if len(messages) < 2 or messages[-1]["content"][0]["type"] != "tool_result":
        return False
    return messages[-2]["content"][0]["type"] not in _THOUGHTS


def _messages(request: ChatRequest, names: ToolNames, thoughts: bool) -> list[Json]:
    """Turns of users and assistants in alternation, neighbours of one role as one."""
    # Thoughts are bound to all that precedes them, and a later turn may have other instructions,
    # tools or a shorter history; within a turn they must be kept.
    turn = max((i for i, each in enumerate(request.messages) if each.role == "user"), default=-1)
    wire: list[Json] = []
    for position, message in enumerate(request.messages):
        role = "assistant" if message.role == "assistant" else "user"
        if message.role == "assistant":
            blocks = _answered(message, request.model, names, thoughts and position > turn)
        elif message.role == "tool":
            blocks = [_result(message)]
        else:
            blocks = _asked(message)
        if wire and wire[-1]["role"] == role:
            wire[-1]["content"] += blocks
        elif blocks:
            wire.append({"role": role, "content": blocks})
    return wire


def _asked(message: Message) -> list[Json]:
    blocks = [_image(image) for image in message.images]
    # Blank text is refused.
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content})
    return blocks or [{"type": "text", "text": "(no text)"}]


def _image(image: Image) -> Json:
    data = inline(image)
    if data is None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    kind = "image/jpeg" if data[0] == "image/jpg" else data[0]
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data[1]}}


def _result(message: Message) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": _id(message.tool_call_id or "")}
    if message.content.strip():
        block["content"] = message.content
    return block


def _answered(message: Message, model: str, names: ToolNames, thoughts: bool) -> list[Json]:
    kept = _native(message, model)
    if kept is not None:
        return [block for block in kept if thoughts or block["type"] not in _THOUGHTS]
    blocks: list[Json] = []
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content})
    blocks += [
        {
            "type": "tool_use",
            "id": _id(call.id),
            "name": names.wire(call.name),
            "input": dict(call.arguments),
        }
        for call in message.tool_calls
    ]
    return blocks


def _native(message: Message, model: str) -> list[Json] | None:
    kept = replayed(message, API, model)
    if not isinstance(kept, list):
        return None
    blocks = [block for block in kept if isinstance(block, dict) and "type" in block]
    return blocks if blocks and len(blocks) == len(kept) else None


def _id(call_id: str) -> str:
    # Other vendors' ids may have characters that are refused here.
    return _NO_ID_CHARACTERS.sub("_", call_id)


def _mark(body: Json) -> None:
    """Marks where prefixes worth caching end, 4 at most: the tools, the instructions, and the two
    last turns of the user, as a mark is found again only within 20 blocks of the next."""
    ends: list[Iterable[Json]] = [body.get("tools", ())[-1:], body.get("system", ())[-1:]]
    users = [message for message in body["messages"] if message["role"] == "user"]
    ends += [cast(list[Json], message["content"])[-1:] for message in users[-2:]]
    for end in ends:
        for block in end:
            block["cache_control"] = _MARK
