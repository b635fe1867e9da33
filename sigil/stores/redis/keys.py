"""Every Redis key is named here.

Parts that come from outside (ids of people, chats, sessions) are percent-encoded, so that no two
inputs can share a key. Ids of items and lanes are our own and safe as they are. Scripts name some
keys themselves: `lua/_prelude.lua` repeats those of items and lanes, and `lua/_budgets.lua` adds
the time to those of budget windows.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from urllib.parse import quote, unquote


@functools.lru_cache(maxsize=4096)
def _encode(part: str) -> str:
    # UTF-8 has no lone surrogates, and nobody has such an id. Looking one up must not fail.
    return quote(part, safe="", errors="surrogatepass")


def _decode(part: str) -> str:
    return unquote(part, errors="surrogatepass")


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one prefix."""

    prefix: str = "sigil:"

    def _key(self, kind: str, *parts: str) -> str:
        return self.prefix + ":".join((kind, *map(_encode, parts)))

    # ---------------------------------------------------------------- lanes

    def item(self, item_id: str) -> str:
        return f"{self.prefix}item:{item_id}"

    def lane(self, lane: str) -> str:
        return f"{self.prefix}lane:{lane}"

    def lane_ids(self, lane: str) -> str:
        return f"{self.prefix}lane:{lane}:ids"

    def due(self) -> str:
        """All lanes with work, by the time when each is to be looked at."""
        return f"{self.prefix}lanes:due"

    def waiting(self) -> str:
        """Lanes whose heads wait for a model, by the time when each is tried again. Twin in
        `lua/_effects.lua`."""
        return f"{self.prefix}lanes:waiting"

    def quarantine(self) -> str:
        """Lanes that cannot be worked on, and why. Twin in `lua/_prelude.lua`."""
        return f"{self.prefix}lanes:quarantine"

    def misplaced(self, name: str) -> str:
        """Where a key of another type is moved to; `name` is that key without the prefix. Twin in
        `lua/_prelude.lua`."""
        return f"{self.prefix}misplaced:{name}"

    def ledger(self, day: str) -> str:
        """How many messages were accepted on a day, and how they ended."""
        return f"{self.prefix}ledger:{day}"

    def dead_letters(self) -> str:
        """Ids of items that failed for good, by the time when they did."""
        return f"{self.prefix}dead"

    def stops(self) -> str:
        """A pub/sub channel: the lanes for which a stop was asked."""
        return f"{self.prefix}stops"

    def secret(self) -> str:
        """The installation's key for opaque names."""
        return f"{self.prefix}secret"

    # ---------------------------------------------------------------- people

    def users(self) -> str:
        return self._key("users")

    def user(self, user_id: str) -> str:
        return self._key("user", user_id)

    def direct_chat(self, user_id: str) -> str:
        return self._key("direct-chat", user_id)

    def identity(self, channel: str, platform_id: str) -> str:
        return self._key("identity", channel, platform_id)

    def pairing(self, channel: str, platform_id: str) -> str:
        return self._key("pairing", channel, platform_id)

    def pairings_of(self, user_id: str) -> str:
        return self._key("paired", user_id)

    def directory(self) -> str:
        """Twins in `lua/take.lua` and `lua/begin_account_rest.lua`."""
        return f"{self.prefix}directory"

    # ---------------------------------------------------------------- conversations

    def session(self, session_key: str) -> str:
        return self._key("session", session_key)

    def history(self, session_id: str) -> str:
        return self._key("history", session_id)

    def memory(self, workspace_id: str) -> str:
        return self._key("memory", workspace_id)

    def vectors(self, workspace_id: str) -> str:
        return self._key("vectors", workspace_id)

    def audit(self) -> str:
        return self._key("audit")

    def usage(self, scope: str, subject: str, day: str) -> str:
        return self._key("usage", scope, subject, day)

    # ---------------------------------------------------------------- money

    def budget(self, scope: str, subject: str) -> str:
        """`lua/_budgets.lua` adds the window: `:hour:2026-11-22T23`, `:day:2026-11-22`."""
        return self._key("budget", scope, subject)

    def budget_hold(self, id: str) -> str:
        return self._key("budget-hold", id)

    def budget_holds(self) -> str:
        """Open holds, by the time when each expires."""
        return self._key("budget-holds")

    def budget_subjects(self, scope: str) -> str:
        """`lua/_budgets.lua` adds the day."""
        return self._key("budget-subjects", scope)

    # ---------------------------------------------------------------- models

    def health_index(self) -> str:
        """Names the `health` keys that exist, by the time when each is forgotten."""
        return self._key("health")

    def health(self, provider: str, model: str) -> str:
        return self._key("health", provider, model)

    def parse_health(self, health: str) -> tuple[str, str]:
        """The provider and model in the name of a `health` key, without the prefix."""
        _, provider, model = health.split(":")
        return _decode(provider), _decode(model)

    def health_turn(self, provider: str, model: str) -> str:
        return self._key("health-turn", provider, model)

    def health_episode(self, provider: str, key: str, reason: str) -> str:
        return self._key("health-episode", provider, key, reason)

    def health_session(self, provider: str, model: str, session: str) -> str:
        return self._key("health-session", provider, model, session)

    # ---------------------------------------------------------------- live chats

    def chat(self, chat: str) -> str:
        return self._key("chat", chat)

    def chat_event_ids(self, chat: str) -> str:
        """The ids of events that were shown, so that none is shown twice."""
        return self._key("chat-seen", chat)

    def chat_owner(self, channel: str, chat_id: str) -> str:
        return self._key("chat-owner", channel, chat_id)

    def chats(self, user_id: str, channel: str) -> str:
        return self._key("chats", user_id, channel)

    def chat_titles(self, user_id: str, channel: str) -> str:
        return self._key("chat-titles", user_id, channel)

    def draft(self, chat: str, turn: str) -> str:
        return self._key("draft", chat, turn)

    # ---------------------------------------------------------------- accounts of channels

    def account(self, account: str) -> str:
        """The lease under which a process listens for an account, and how far it has come."""
        return self._key("account", account)

    def report(self, account: str, key: str) -> str:
        """Which chunk a platform's report is about, or the report itself if it came too early."""
        return self._key("report", account, key)

    def last_messages(self, account: str) -> str:
        return self._key("last-messages", account)

    def last_chats(self, account: str) -> str:
        """The chats in `last_messages`, by the time of the last message."""
        return self._key("last-chats", account)

    def account_rest(self, entry: str) -> str:
        return self._key("account-rest", entry)

    def account_pace(self, entry: str) -> str:
        return self._key("account-pace", entry)

    def chat_pace(self, entry: str, chat: str) -> str:
        return self._key("chat-pace", entry, chat)

    def presences(self) -> str:
        """The turns that show themselves, by the time when each is shown next."""
        return self._key("presences")

    def presence(self, turn: str) -> str:
        """What a turn shows. Its id is our own; `lua/take_presences.lua` adds it."""
        return f"{self.prefix}presence:{turn}"

    # ---------------------------------------------------------------- files

    def blob(self, id: str) -> str:
        """A file that came in, in pieces. Twin in `lua/keep_blob.lua`."""
        return self._key("blob", id)

    def blobs(self) -> str:
        """When each file came, and how large it is."""
        return self._key("blobs")

    # ---------------------------------------------------------------- the gate

    def limit(self, sender: str) -> str:
        """How much somebody has written lately. Twin in `lua/push.lua`."""
        return self._key("limit", sender)

    # ---------------------------------------------------------------- groups

    def group_count(self, group: str) -> str:
        """How many messages a group has had within a minute."""
        return self._key("group-count", group)

    def overheard(self, group: str) -> str:
        """What was said there to others, for the model's context."""
        return self._key("overheard", group)

    # ---------------------------------------------------------------- notes of channels

    def note(self, entry: str, key: str) -> str:
        return self._key("note", entry, key)

    # ---------------------------------------------------------------- the process fleet

    def fleet(self) -> str:
        """The records of all processes."""
        return self._key("fleet")

    def metrics(self) -> str:
        return self._key("metrics")
