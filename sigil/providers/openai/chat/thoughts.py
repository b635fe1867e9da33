"""What a model thought, in the fields in which its server said it.

Chat completions have no standard for thoughts. Servers invented fields, and some models want
theirs back with their tool calls.
"""

from __future__ import annotations

from sigil.providers.shared.json_fields import Json, read_list, read_text

# DeepSeek, Moonshot and vLLM use the first, OpenRouter the second.
_TEXT_FIELDS = ("reasoning_content", "reasoning")
_PARTS_FIELD = "reasoning_details"
# Parts of these types come in pieces, with the text in this field.
_GROWING_PARTS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_MAX_THOUGHTS = 256 * 1024


class Thoughts:
    """Collects the thoughts of one answer."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._parts: list[Json] = []
        self._size = 0

    @property
    def too_long(self) -> bool:
        """Whether there was more than can be kept (256 KB)."""
        return self._size > _MAX_THOUGHTS

    def take_message(self, message: Json) -> None:
        """Adds the thoughts in a chunk or in a whole message."""
        for name in _TEXT_FIELDS:
            text = read_text(message.get(name))
            if text and self._fits(text):
                self._texts.setdefault(name, []).append(text)
        for part in read_list(message.get(_PARTS_FIELD)):
            if isinstance(part, dict) and self._fits(str(part)):
                self._take_part(part)

    def join_fields(self) -> Json:
        """The fields as the server takes them back."""
        fields: Json = {name: "".join(texts) for name, texts in self._texts.items()}
        return fields | ({_PARTS_FIELD: self._parts} if self._parts else {})

    def _take_part(self, part: Json) -> None:
        growing = _GROWING_PARTS.get(str(part.get("type")))
        last = self._parts[-1] if self._parts else {}
        continues = all(last.get(name) == part.get(name) for name in ("type", "index"))
        if growing is None or not last or not continues:
            self._parts.append(dict(part))
            return
        more = {name: value for name, value in part.items() if value is not None}
        last |= more | {growing: f"{last.get(growing) or ''}{part.get(growing) or ''}"}

    def _fits(self, text: str) -> bool:
        self._size += len(text)
        return not self.too_long
