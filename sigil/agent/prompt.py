"""What the model is told: the system prompt, the window of history, and the person's words
tagged with where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sigil.conversation import Image
from sigil.messages import InboundMessage

if TYPE_CHECKING:
    from sigil.config import Settings


def system_prompt(settings: Settings, workspace_id: str, channel: str, hint: str) -> str:
    """The base prompt, then the workspace's, then what the channel can show."""
    workspace = settings.workspaces.get(workspace_id)
    policy = settings.policy(channel)
    parts = (settings.agent.system_prompt, workspace.prompt if workspace else "", hint)
    return "\n\n".join(part.strip() for part in (*parts, policy.prompt) if part.strip())


def user_text(messages: Sequence[InboundMessage]) -> str:
    """The words of one sender, under a line that names the channel and the sender.

    The line is ours: a name cannot close it, since brackets in it are replaced.
    """
    first = messages[0]
    name = (first.sender_name or first.sender_id).replace("[", "(").replace("]", ")")
    where = first.channel_type if first.is_direct else f"{first.channel_type} group"
    body = "\n".join(_body(message) for message in messages)
    return f"[{where}, {name}]\n{body}"


def pictures(messages: Sequence[InboundMessage]) -> tuple[Image, ...]:
    """The attached pictures that a model's vendor can be given."""
    return tuple(
        Image(attachment.url, attachment.mime_type)
        for message in messages
        for attachment in message.attachments
        if attachment.mime_type.startswith("image/")
        and attachment.url.startswith(("https://", "data:image/"))
    )


def _body(message: InboundMessage) -> str:
    files = "".join(f"\n(attached: {a.name}, {a.mime_type})" for a in message.attachments)
    return message.content + files
