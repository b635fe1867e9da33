"""OpenAI's responses: the API that its current models need to think and call tools at once.

The vendor keeps nothing (`store` is false unless it is configured), so the whole conversation is
sent each time, thoughts included, in the encrypted form in which they came.
"""

from __future__ import annotations

from typing import Any

from sigil.conversation import Message
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.openai.answer import Flaw
from sigil.providers.openai.options import Options
from sigil.providers.openai.request import CallIds, address_of, arguments_of, common
from sigil.providers.openai.responses_answer import API, ResponsesAnswer
from sigil.providers.shared.vendor import ToolNames, replayed, schema_of


class ResponsesApi:
    """Responses of the provider `name`. `openai`: it is OpenAI itself, which refuses what a
    model does not take."""

    path = "/responses"

    def __init__(self, name: str, options: Options, *, openai: bool) -> None:
        self._name = name
        self._options = options
        self._openai = openai

    def answer(self, model: str, names: ToolNames, flaw: Flaw) -> ResponsesAnswer:
        """Reads one answer."""
        return ResponsesAnswer(model, names, flaw, stored=bool(self._options.store))

    def payload(self, request: ChatRequest, info: ModelInfo, names: ToolNames) -> dict[str, Any]:
        """The request's body. Raises `ProviderError` for what cannot be asked."""
        options = self._options
        payload: dict[str, Any] = {
            "model": request.model,
            "input": self._input(request, names),
            "max_output_tokens": request.max_tokens,
            "store": bool(options.store),
            **common(options, request),
        }
        if request.stream:
            payload["stream"] = True
        if request.system_prompt:
            payload["instructions"] = request.system_prompt
        # OpenAI's thinking models refuse a request that sets it.
        if request.temperature is not None and not (self._openai and info.thinking):
            payload["temperature"] = request.temperature
        if options.reasoning_effort and (info.thinking or not self._openai):
            payload["reasoning"] = {"effort": options.reasoning_effort}
        # Models that do not think refuse it.
        if info.thinking and not options.store:
            payload["include"] = ["reasoning.encrypted_content"]
        if request.tools:
            payload["tools"] = [
                {
                    "type": "function",
                    "name": names.wire(tool.name),
                    "description": tool.description,
                    "parameters": schema_of(tool.parameters),
                    # The default, true, takes only schemas of its own kind.
                    "strict": False,
                }
                for tool in request.tools
            ]
        return payload | options.extra_body

    def _input(self, request: ChatRequest, names: ToolNames) -> list[dict[str, Any]]:
        ids = CallIds()
        items: list[dict[str, Any]] = []
        for message in request.messages:
            native = replayed(message, API, request.model)
            if isinstance(native, list):
                ids.keep(message.tool_calls)
                items += native
            else:
                items += self._items(message, names, ids)
        return items

    def _items(self, message: Message, names: ToolNames, ids: CallIds) -> list[dict[str, Any]]:
        if message.role == "tool":
            call_id = ids.wire(message.tool_call_id or "")
            output = message.content
            return [{"type": "function_call_output", "call_id": call_id, "output": output}]
        items: list[dict[str, Any]] = []
        if message.content or not message.tool_calls:
            items.append({"role": message.role, "content": self._content(message)})
        items += [
            {
                "type": "function_call",
                "call_id": ids.wire(call.id),
                "name": names.wire(call.name),
                "arguments": arguments_of(call),
            }
            for call in message.tool_calls
        ]
        return items

    def _content(self, message: Message) -> str | list[dict[str, Any]]:
        if not message.images:
            return message.content
        text = [{"type": "input_text", "text": message.content}] if message.content else []
        pictures = [
            {
                "type": "input_image",
                "image_url": address_of(image, self._name),
                "detail": "auto",
            }
            for image in message.images
        ]
        return [*text, *pictures]
