"""What the model is told: system prompt, window of history, and the person's words under a line
that says where they came from.

    You are Sigil. …                 agent.system_prompt
    This is home. …                  the workspace's prompt
    The reader sees plain text. …    the channel's hint
    Be brief. …                      the account's prompt
    ─────────────────────────
    user       [telegram, Ann]       the newest messages that fit the window
    assistant  …
    user       [telegram, Ann]       what is answered now
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.agent.attachments import list_files
from sigil.lanes.lane import lane_id
from sigil.messages.conversation import Message, window
from sigil.providers.base import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.agent.turn import Turn
    from sigil.messages.exchange import InboundMessage
    from sigil.providers.model_request import Budget


def build_question(turn: Turn) -> Message:
    """The words and files of the turn's messages as one message to the model."""
    return Message("user", _write_words(turn.messages), files=list_files(turn.messages))


def build_request(turn: Turn, question: Message, *, hint: str, lane: str, user: str) -> ChatRequest:
    """The request of one turn. `hint` says what the channel can show, and `user` is an opaque name
    of the person. The model's name is left to the chain, where each candidate puts its own.

    Raises `MessageInvalid` for a history that cannot be read.
    """
    settings = turn.directory.model_settings
    system_prompt = _build_system_prompt(turn, hint)
    return ChatRequest(
        model="",
        messages=tuple(window([*turn.kept.read_past(), question], turn.directory.agent.window)),
        system_prompt=system_prompt,
        max_tokens=_limit_answer(settings.max_tokens, turn.budget),
        temperature=settings.temperature,
        session=lane_id(lane),
        user=user,
    )


def _build_system_prompt(turn: Turn, hint: str) -> str:
    """The base prompt, then the workspace's, what the channel can show, and the account's."""
    workspace = turn.directory.workspaces.config(turn.route.workspace_id)
    parts = (turn.directory.agent.system_prompt, workspace.prompt, hint, turn.account.prompt)
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _limit_answer(most: int, budget: Budget) -> int:
    """The longest answer; what is left of the session's budget, if that is less."""
    if budget.max_session_tokens is None:
        return most
    return max(1, min(most, budget.max_session_tokens - budget.used_session_tokens))


def _write_words(messages: Sequence[InboundMessage]) -> str:
    # The first line is ours: a name cannot close it, since brackets in it are replaced.
    first = messages[0]
    name = (first.sender_name or first.sender_id).replace("[", "(").replace("]", ")")
    where = first.channel_type if first.is_direct else f"{first.channel_type} group"
    lines = [f"[{where}, {name}]"]
    for message in messages:
        files = "".join(f"\n(attached: {a.name}, {a.mime_type})" for a in message.attachments)
        lines.append(message.content + files)
    return "\n".join(lines)
