"""What the model is told: system prompt, window of history, and the person's words under a line
that says whose they are (see `sigil.agent.speakers`).

    You are Sigil. …                 agent.system_prompt
    This is home. …                  the workspace's prompt
    The reader sees plain text. …    the channel's hint
    Be brief. …                      the account's prompt
    Sigil puts a line …              how to read what people write
    ─────────────────────────
    user       [b7c3 ann …]          the newest messages that fit the window
    assistant  …
    user       [b7c3 ann …]          what is answered now
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.agent.attachments import list_files
from sigil.agent.speakers import explain_speakers, write_speech
from sigil.lanes.lane import lane_id
from sigil.messages.conversation import Message, window
from sigil.providers.base import ChatRequest

if TYPE_CHECKING:
    from sigil.agent.turn import Turn
    from sigil.providers.model_request import Budget


def build_question(turn: Turn, boundary: str, overheard: str = "") -> Message:
    """The words and files of the turn's messages as one message to the model. `overheard` is what
    was said before, as it is to be shown."""
    user_id = turn.route.user_id
    role = turn.directory.find_role(user_id)
    words = write_speech(turn.messages, boundary=boundary, user_id=user_id, role=role)
    return Message("user", overheard + words, files=list_files(turn.messages))


def build_request(
    turn: Turn, question: Message, *, boundary: str, hint: str, lane: str, user: str
) -> ChatRequest:
    """The request of one turn. `hint` says what the channel can show, and `user` is an opaque name
    of the person. The model's name is left to the chain, where each candidate puts its own.

    Raises `MessageInvalid` for a history that cannot be read.
    """
    settings = turn.directory.model_settings
    how_to_read = explain_speakers(boundary, is_group=not turn.last.is_direct)
    system_prompt = _build_system_prompt(turn, hint, how_to_read)
    return ChatRequest(
        model="",
        messages=tuple(window([*turn.kept.read_past(), question], turn.directory.agent.window)),
        system_prompt=system_prompt,
        max_tokens=_limit_answer(settings.max_tokens, turn.budget),
        temperature=settings.temperature,
        session=lane_id(lane),
        user=user,
    )


def _build_system_prompt(turn: Turn, hint: str, how_to_read: str) -> str:
    """The base prompt, then the workspace's, what the channel can show, the account's, and how to
    read what people write."""
    workspace = turn.directory.workspaces.config(turn.route.workspace_id)
    base, own = turn.directory.agent.system_prompt, turn.account.prompt
    parts = (base, workspace.prompt, hint, own, how_to_read)
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _limit_answer(most: int, budget: Budget) -> int:
    """The longest answer; what is left of the session's budget, if that is less."""
    if budget.max_session_tokens is None:
        return most
    return max(1, min(most, budget.max_session_tokens - budget.used_session_tokens))
