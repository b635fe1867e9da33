"""The stores over Redis or Valkey."""

from __future__ import annotations

from sigil.stores.base import Stores
from sigil.stores.redis.account_leases import RedisAccountLeases
from sigil.stores.redis.account_rests import RedisAccountRests
from sigil.stores.redis.audit import RedisAudit
from sigil.stores.redis.blobs import RedisBlobs
from sigil.stores.redis.budgets import RedisBudgets
from sigil.stores.redis.chats import RedisChats
from sigil.stores.redis.client import Client
from sigil.stores.redis.counters import RedisCounters
from sigil.stores.redis.directory import RedisDirectory
from sigil.stores.redis.fleet import RedisFleet
from sigil.stores.redis.groups import RedisGroups
from sigil.stores.redis.health import RedisHealth
from sigil.stores.redis.lanes import RedisLanes
from sigil.stores.redis.memory import RedisMemory
from sigil.stores.redis.messages import RedisMessages
from sigil.stores.redis.notes import RedisNotes
from sigil.stores.redis.paces import RedisPaces
from sigil.stores.redis.pairings import RedisPairings
from sigil.stores.redis.presences import RedisPresences
from sigil.stores.redis.sessions import RedisSessions
from sigil.stores.redis.signals import RedisSignals
from sigil.stores.redis.users import RedisUsers
from sigil.stores.redis.vectors import RedisVectors


def build_stores(client: Client, *, retention_days: int = 7, can_block: bool = True) -> Stores:
    """Every store over one client."""
    return Stores(
        users=RedisUsers(client),
        pairings=RedisPairings(client),
        sessions=RedisSessions(client),
        messages=RedisMessages(client),
        memory=RedisMemory(client),
        vectors=RedisVectors(client),
        audit=RedisAudit(client),
        directory=RedisDirectory(client),
        lanes=RedisLanes(client, retention_days=retention_days),
        budgets=RedisBudgets(client),
        health=RedisHealth(client),
        blobs=RedisBlobs(client),
        chats=RedisChats(client, can_block=can_block),
        notes=RedisNotes(client),
        signals=RedisSignals(client),
        counters=RedisCounters(client),
        fleet=RedisFleet(client),
        accounts=RedisAccountLeases(client),
        groups=RedisGroups(client),
        account_rests=RedisAccountRests(client),
        paces=RedisPaces(client),
        presences=RedisPresences(client),
        backend=client,
    )
