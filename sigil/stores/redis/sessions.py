"""Sessions in Redis: a hash per conversation, and a list of messages per session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.records import check_version
from sigil.sessions import SessionRecord
from sigil.stores.redis.bounds import SESSION_TTL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.stores.redis.client import Client


class RedisSessions:
    """A `SessionStore`; each method is one round trip."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def load(self, session_key: str, epoch: int | None = None) -> SessionRecord:
        """A `SessionStore.load`. Raises `StoreError`, and `RecordTooNew`."""
        answer = await self._client.run_script(
            "load_session",
            keys=[self._keys.session(session_key)],
            args=[self._history_prefix(session_key), "" if epoch is None else epoch],
        )
        current, model, input_tokens, output_tokens, version, messages, lowest, of_messages = answer
        check_version(int(lowest))
        is_over = of_messages != current
        return SessionRecord(
            key=session_key,
            id=_build_session_id(session_key, int(of_messages)),
            epoch=int(of_messages),
            model=model.decode() or None,
            input_tokens=0 if is_over else int(input_tokens),
            output_tokens=0 if is_over else int(output_tokens),
            messages=tuple(message.decode() for message in messages),
            version=int(version),
            is_over=is_over,
        )

    async def append(self, session_key: str, messages: Sequence[str], *, keep: int) -> None:
        """Appends to the current session and keeps the last `keep` messages.

        A turn does not use this: its commit appends under the fence. Here, messages may be
        appended twice if a reply of Redis is lost.
        """
        if messages:
            await self._client.run_script(
                "append_session",
                keys=[self._keys.session(session_key)],
                args=[self._history_prefix(session_key), keep, SESSION_TTL, *messages],
            )

    def _history_prefix(self, session_key: str) -> str:
        # The script reads the epoch and appends it. That gives the right key, because each
        # character of a key is encoded by itself.
        return self._keys.history(_build_session_id(session_key, 0)).removesuffix("0")


def _build_session_id(session_key: str, epoch: int) -> str:
    """The id of one session of a conversation. /new begins the next epoch."""
    return f"{session_key}#{epoch}"
