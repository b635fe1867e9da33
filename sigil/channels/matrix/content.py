"""What somebody said: the words of an event without what clients put around them."""

from __future__ import annotations

import re
from collections.abc import Collection
from html import unescape
from urllib.parse import unquote

from sigil.channels.base import MediaKind
from sigil.channels.matrix.payloads import Content

_KINDS: dict[str, MediaKind] = {
    "m.image": "image",
    "m.audio": "audio",
    "m.video": "video",
    "m.file": "file",
}
# m.notice is how bots speak; the others are clients and servers talking among themselves.
_NOT_SAID = frozenset({"m.notice", "m.server_notice", "m.key.verification.request"})
_PILL = re.compile(r"""href\s*=\s*["']https://matrix\.to/#/([^"'?]{1,800})""", re.IGNORECASE)
_QUOTED_PERSON = re.compile(r"^(?:\* )?<@[^>\s]+> ?")
_AFTER_MENTION = " \t,:;-\u2014"


def is_said(content: Content) -> bool:
    """Whether a person said it to people."""
    return content.msgtype is not None and content.msgtype not in _NOT_SAID


def is_robot(user_id: str) -> bool:
    """Whether it is the user of a bridge or of another application service, by their custom to
    begin with an underscore."""
    return user_id.startswith("@_")


def find_kind(content: Content) -> MediaKind | None:
    """What kind of file came with it, if one did."""
    if content.msgtype == "m.audio" and content.voice is not None:
        return "voice"
    return _KINDS.get(content.msgtype or "")


def read_words(content: Content) -> str:
    """The text; of a file its caption, which is there if a name stands beside it
    (https://spec.matrix.org/v1.19/client-server-api/#media-captions)."""
    body = content.body or ""
    if find_kind(content) is not None:
        return body.strip() if content.filename and content.filename != body else ""
    if content.msgtype == "m.location" and content.geo_uri:
        return f"{body} ({content.geo_uri[:200]})".strip()
    return body.strip()


def split_quote(text: str) -> tuple[str | None, str]:
    """The quote and the rest of a reply. Clients before v1.13 of the specification began the text
    with what was replied to, in lines that start with `>`, and an empty line."""
    lines = text.split("\n")
    count = next((i for i, line in enumerate(lines) if not line.startswith(">")), len(lines))
    if count == 0 or count == len(lines) or lines[count].strip():
        return None, text
    quoted = [line[1:].removeprefix(" ") for line in lines[:count]]
    quoted[0] = _QUOTED_PERSON.sub("", quoted[0])
    return "\n".join(quoted).strip() or None, "\n".join(lines[count + 1 :]).strip()


def is_mentioned(content: Content, text: str, user_id: str, names: Collection[str]) -> bool:
    """Whether the account is meant: by `m.mentions`, a link to it, its id, or its name.

    Where a client says whom it means, a name in the middle of the text is only talk about it.
    """
    mentions = content.mentions
    if mentions is not None and user_id in (mentions.user_ids or ()):
        return True
    if user_id in _find_pills(content.formatted_body) or _find_word(text, user_id) is not None:
        return True
    found = [at for name in names if (at := _find_word(text, name)) is not None]
    return bool(found) if mentions is None else any(start == 0 for start, _ in found)


def strip_mention(text: str, user_id: str, names: Collection[str]) -> str:
    """The text without the account's name at its beginning, so that a command begins it. A name
    that nothing sets apart may be a part of the sentence, and stays."""
    for name in (user_id, *sorted(names, key=len, reverse=True)):
        at = _find_word(text, name)
        if at is None or at[0] != 0:
            continue
        rest = text[at[1] :]
        said = rest.lstrip(_AFTER_MENTION)
        set_apart = text.startswith("@") or rest[:1] in {":", ","} or said[:1] in {"/", "!"}
        if set_apart and said:
            return said
    return text


def read_command(text: str, commands: Collection[str]) -> str:
    """Puts the slash before a command that was written as `!stop`: many clients take words with a
    slash for their own."""
    word = text[1:].split(maxsplit=1)[0] if text.startswith("!") and len(text) > 1 else ""
    return f"/{text[1:]}" if word.lower() in commands else text


def clean_name(name: str, most: int = 200) -> str:
    """A name from outside, on one line and of at most this many bytes."""
    shown = "".join(char if char.isprintable() else " " for char in name).strip()
    return shown.encode("utf-8", "replace")[:most].decode("utf-8", "ignore").strip()


def _find_pills(html: str | None) -> list[str]:
    """The ids that links in the text lead to."""
    if html is None:
        return []
    return [unquote(unescape(found)) for found in _PILL.findall(html)]


def _find_word(text: str, word: str) -> tuple[int, int] | None:
    """Where a name stands in the text as a word of its own, maybe after `@`."""
    if not word:
        return None
    pattern = rf"(?<![\w@])@?{re.escape(word)}(?![\w]|[.:-]\w)"
    found = re.search(pattern, text, re.IGNORECASE)
    return None if found is None else found.span()
