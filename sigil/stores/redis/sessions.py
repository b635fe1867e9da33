"""Sessions in Redis: a hash per conversation, and a list of messages per session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.sessions import SessionRecord
from sigil.stores.redis.effects import SESSION_TTL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.stores.redis.client import Client
    from sigil.stores.redis.keys import Keys


class RedisSessions:
    """A `SessionStore`; each method is one round trip."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def load(self, session_key: str) -> SessionRecord:
        """The current session with its history; a fresh one if there is none yet."""
        epoch, model, spent_in, spent_out, messages = await self._client.script(
            "load_session",
            keys=[self._keys.session(session_key)],
            args=[self._histories(session_key)],
        )
        return SessionRecord(
            key=session_key,
            id=session_id(session_key, int(epoch)),
            epoch=int(epoch),
            model=model.decode() or None,
            input_tokens=int(spent_in),
            output_tokens=int(spent_out),
            messages=tuple(message.decode() for message in messages),
        )

    async def append(self, session_key: str, messages: Sequence[str], *, keep: int) -> None:
        """Appends to the current session, trimmed to the last `keep`. Not for turns: their
        commit does it under the fence, this may append twice if a reply is lost."""
        if messages:
            await self._client.script(
                "append_session",
                keys=[self._keys.session(session_key)],
                args=[self._histories(session_key), keep, SESSION_TTL, *messages],
            )

    def _histories(self, session_key: str) -> str:
        # Key parts are encoded character by character, so the epoch's digits can follow.
        return self._keys.history(session_id(session_key, 0)).removesuffix("0")


def session_id(session_key: str, epoch: int) -> str:
    """The id of one session of a conversation; /new makes the next epoch."""
    return f"{session_key}#{epoch}"
