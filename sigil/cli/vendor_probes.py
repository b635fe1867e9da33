"""Asks model vendors, for `sigil doctor`: which models they list, and for one short answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sigil import bootstrap
from sigil.cli.backend import open_stores
from sigil.cli.cooldowns import drop_replaced
from sigil.directory import Directory
from sigil.errors import AllProvidersUnavailable, ProviderError, SigilError
from sigil.identity.scope import PERSONAL, workspace_scope
from sigil.lanes.effects import encode_audit_entry
from sigil.messages.conversation import Message
from sigil.providers.base import Catalogued, ChatRequest, EventType
from sigil.providers.model_request import ModelRequest
from sigil.providers.order import ModelOrder

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.providers.chain.health_store import Cooldown
    from sigil.providers.chain.record import AttemptRecord

ASK_WITHIN_S = 10.0
CALL_WITHIN_S = 60.0
# Some vendors refuse a lower limit.
ANSWER_TOKENS = 16


@dataclass(frozen=True, slots=True)
class VendorAnswer:
    """What a vendor said to one key: the models that it lists, or an error. `whose` names the
    provider, and the key (by its fingerprint) if there are several."""

    provider: str
    whose: str
    models: frozenset[str] = frozenset()
    error: SigilError | None = None


async def ask_vendors(settings: Settings) -> list[VendorAnswer]:
    """Asks all vendors for their models at once, with each of their keys. Raises `ConfigError`."""
    registry = bootstrap.make_registry(settings)
    try:
        asked = [
            _ask_vendor(name, f"{name} (key {key})" if len(instances) > 1 else name, provider)
            for name in registry.names()
            for instances in [registry.instances(name)]
            for key, provider in instances.items()
            if isinstance(provider, Catalogued)
        ]
        return await asyncio.gather(*asked)
    finally:
        await registry.aclose()


async def _ask_vendor(name: str, whose: str, provider: Catalogued) -> VendorAnswer:
    try:
        async with asyncio.timeout(ASK_WITHIN_S):
            models = await provider.refresh_models()
    except TimeoutError:
        error: SigilError = ProviderError(f"no answer within {ASK_WITHIN_S:g} s.", provider=name)
        return VendorAnswer(name, whose, error=error)
    except SigilError as error:
        return VendorAnswer(name, whose, error=error)
    except Exception as error:  # noqa: BLE001  # a plug-in's; its text may quote a key
        failure = ProviderError(f"{type(error).__name__}.", provider=name)
        return VendorAnswer(name, whose, error=failure)
    return VendorAnswer(name, whose, frozenset(info.id for info in models))


async def read_cooldowns(settings: Settings) -> Sequence[Cooldown]:
    """What rests under configured keys, by the calls of all workers. Raises `ConfigError` or
    `StoreError`."""
    async with open_stores(settings) as stores:
        return drop_replaced(await stores.health.list_cooldowns(), settings.providers)


async def call_model(settings: Settings, model: str) -> AttemptRecord:
    """One call for an answer of at most 16 tokens, reserved in the owner's budget, recorded in the
    audit log, and shared with all workers like any other call.

    Raises `ProviderError` if it failed or the model rests, `ConfigError`, or `StoreError`.
    """
    async with open_stores(settings) as stores:
        directory = Directory.of(settings)
        registry = bootstrap.make_registry(settings, stores=stores)
        owner, question = directory.owner.id, Message(role="user", content="Say OK.")
        chain = registry.chain(
            ModelRequest(),
            order=ModelOrder(model),
            model_call=CALL_WITHIN_S,
            meter=directory.open_budgets(stores.budgets).open_meter(
                session_key="doctor", user_id=owner, workspace_id=workspace_scope(PERSONAL, owner)
            ),
        )
        request = ChatRequest(model, [question], max_tokens=ANSWER_TOKENS)
        failure: ProviderError | None = None
        try:
            async for event in chain.chat(request):
                if event.type is EventType.ERROR:
                    failure = event.error
        finally:
            await registry.aclose()
        entry = encode_audit_entry(
            "live call",
            user=owner,
            workspace=PERSONAL,
            at=datetime.now(UTC).isoformat(),
            attempts=[attempt.describe() for attempt in chain.attempts],
        )
        await stores.audit.add(entry)
    last = chain.attempts[-1] if chain.attempts else None
    if last is not None and last.error is not None:
        raise last.error
    if failure is not None or last is None:
        raise failure or AllProvidersUnavailable({})
    return last
