"""OpenAI's chat completions, which nearly every other server speaks too."""

from __future__ import annotations

from typing import Any

from sigil.conversation import Message
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.openai.answer import Flaw
from sigil.providers.openai.chat_answer import API, ChatAnswer
from sigil.providers.openai.options import Options
from sigil.providers.openai.request import CallIds, address_of, arguments_of, common
from sigil.providers.shared.vendor import ToolNames, replayed, schema_of


class ChatApi:
    """Chat completions of the provider `name`. `openai`: it is OpenAI itself, which refuses what
    a model does not take."""

    path = "/chat/completions"

    def __init__(self, name: str, options: Options, *, openai: bool) -> None:
        self._name = name
        self._options = options
        self._openai = openai

    def answer(self, model: str, names: ToolNames, flaw: Flaw) -> ChatAnswer:
        """Reads one answer."""
        return ChatAnswer(
            model, names, flaw, keep_thoughts=self._options.replay_thoughts is not False
        )

    def payload(self, request: ChatRequest, info: ModelInfo, names: ToolNames) -> dict[str, Any]:
        """The request's body. Raises `ProviderError` for what cannot be asked."""
        options = self._options
        payload: dict[str, Any] = {
            "model": request.model,
            "messages": self._messages(request, names),
            options.max_tokens_field or "max_tokens": request.max_tokens,
            **common(options, request),
        }
        if request.stream:
            payload["stream"] = True
            if options.stream_usage is not False:
                payload["stream_options"] = {"include_usage": True}
        # OpenAI's thinking models refuse a request that sets it.
        if request.temperature is not None and not (self._openai and info.thinking):
            payload["temperature"] = request.temperature
        if options.reasoning_effort and (info.thinking or not self._openai):
            payload["reasoning_effort"] = options.reasoning_effort
        if options.store is not None:
            payload["store"] = options.store
        if request.tools:
            payload["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": names.wire(tool.name),
                        "description": tool.description,
                        "parameters": schema_of(tool.parameters),
                    },
                }
                for tool in request.tools
            ]
        return payload | options.extra_body

    def _messages(self, request: ChatRequest, names: ToolNames) -> list[dict[str, Any]]:
        ids = CallIds()
        messages: list[dict[str, Any]] = []
        if request.system_prompt:
            messages.append({"role": "system", "content": request.system_prompt})
        for message in request.messages:
            native = replayed(message, API, request.model)
            if isinstance(native, dict):
                ids.keep(message.tool_calls)
                messages.append(native)
            else:
                messages.append(self._message(message, names, ids))
        return messages

    def _message(self, message: Message, names: ToolNames, ids: CallIds) -> dict[str, Any]:
        wire: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.images:
            wire["content"] = self._parts(message)
        if message.tool_call_id is not None:
            wire["tool_call_id"] = ids.wire(message.tool_call_id)
        if message.tool_calls:
            wire["content"] = message.content or None
            wire["tool_calls"] = [
                {
                    "id": ids.wire(call.id),
                    "type": "function",
                    "function": {"name": names.wire(call.name), "arguments": arguments_of(call)},
                }
                for call in message.tool_calls
            ]
        return wire

    def _parts(self, message: Message) -> list[dict[str, Any]]:
        text = [{"type": "text", "text": message.content}] if message.content else []
        pictures = [
            {"type": "image_url", "image_url": {"url": address_of(image, self._name)}}
            for image in message.images
        ]
        return [*text, *pictures]
