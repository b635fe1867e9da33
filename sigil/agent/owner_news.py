"""What the owner is told of a turn's failed calls.

    calls failed ─┬─ the owner asked, in a direct chat, ──▶ each cause stands in the reply
                  │  and no model answered
                  └─ else ──▶ what only the owner can mend is told in the owner's own direct chat,
                              once per episode; a reply to somebody else is short

Causes never stand in a group: others read along.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sigil.errors import AllProvidersUnavailable, ErrorKind
from sigil.errors.failures import MENDED_BY_OWNER
from sigil.identity.users import DirectChat
from sigil.messages.exchange import OutboundMessage
from sigil.providers.chain.trouble import explain_trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.agent.reply import Reply
    from sigil.agent.turn import Turn
    from sigil.lanes.effects import Effect
    from sigil.lanes.replies import Replies
    from sigil.providers.chain.record import AttemptRecord
    from sigil.stores.base import Stores


@dataclass(frozen=True, slots=True)
class OwnerNews:
    """`causes` are for the owner who asked, one a line. `effects` send what others have met to the
    owner's own chat. `is_told`: the owner knows, or is being told."""

    causes: str = ""
    effects: tuple[Effect, ...] = ()
    is_told: bool = False


NO_NEWS = OwnerNews()


async def gather_news(stores: Stores, replies: Replies, turn: Turn, reply: Reply) -> OwnerNews:
    """What the owner is to be told of this turn. Raises `StoreError`."""
    troubles = [each for each in reply.attempts if _read_kind(each) in MENDED_BY_OWNER]
    has_failed = isinstance(reply.error, AllProvidersUnavailable)
    if not troubles and not has_failed:
        return NO_NEWS
    owner = turn.directory.owner.id
    last, chat = turn.last, None
    if turn.route.user_id == owner and last.is_direct:
        if has_failed:
            return OwnerNews(await asyncio.to_thread(_explain_causes, turn, reply), is_told=True)
        # Another model went on. Nobody else may ever ask, so it is told here.
        chat = DirectChat.of(last)
    chat = chat or await stores.users.find_direct_chat(owner)
    if chat is None:
        return NO_NEWS
    effects: list[Effect] = []
    for attempt in troubles:
        provider = attempt.model.partition("/")[0]
        kind = _read_kind(attempt)
        assert kind is not None
        text = await asyncio.to_thread(_explain_attempt, turn, attempt, kind)
        message = OutboundMessage(
            chat.channel, chat.chat_id, text, chat.thread_id, (), chat.account
        )
        # The id derives from the episode, so that all turns of an episode send one message.
        episode = await stores.health.begin_episode(provider, attempt.key, kind.value)
        effects.append(await replies.push_message(message, f"{provider}:{kind}:{episode}"))
    return OwnerNews(effects=tuple(effects), is_told=True)


def _read_kind(attempt: AttemptRecord) -> ErrorKind | None:
    return None if attempt.error is None else attempt.error.kind


def _explain_attempt(turn: Turn, attempt: AttemptRecord, kind: ErrorKind) -> str:
    provider = attempt.model.partition("/")[0]
    status = None if attempt.error is None else attempt.error.status
    return explain_trouble(provider, kind, turn.directory.providers, status=status)


def _explain_causes(turn: Turn, reply: Reply) -> str:
    """Each cause, one a line: what only the owner can mend with its place, else as it was met."""
    assert isinstance(reply.error, AllProvidersUnavailable)
    status = _read_statuses(reply.attempts)
    lines: dict[str, None] = {}
    for model, cause in reply.error.causes.items():
        provider, kind = model.partition("/")[0], reply.error.kinds.get(model)
        if kind in MENDED_BY_OWNER:
            providers = turn.directory.providers
            line = explain_trouble(provider, kind, providers, status=status.get(model))
        else:
            line = f"{model}: {cause}"
        lines[f"- {line}"] = None
    return "\n".join(lines)


def _read_statuses(attempts: Sequence[AttemptRecord]) -> dict[str, int | None]:
    return {each.model: each.error.status for each in attempts if each.error is not None}
