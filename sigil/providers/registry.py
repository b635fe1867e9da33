"""The providers of this process, and the order in which their models are tried."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from sigil.errors import ConfigError, ProviderError, ProviderNotFound
from sigil.providers.base import Catalogued, ModelInfo, Provider
from sigil.providers.chain.candidate import Candidate
from sigil.providers.chain.failover import FailoverProvider
from sigil.providers.chain.meter import Meter
from sigil.providers.chain.plugins import describe_error
from sigil.providers.model_request import ModelRequest
from sigil.providers.names import split_name
from sigil.providers.order import ModelOrder
from sigil.providers.overrides import apply_overrides

if TYPE_CHECKING:
    from sigil.config.schema import ModelOverride
    from sigil.providers.chain.health import Health

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Registered:
    """A provider's instances by the fingerprint of their key, and what is configured about its
    models."""

    instances: Mapping[str, Provider]
    models: Mapping[str, ModelOverride] = field(default_factory=dict)

    @property
    def first(self) -> Provider:
        return next(iter(self.instances.values()))

    def make_candidate(self, name: str) -> Candidate:
        """A candidate of this provider by its full name, `provider/model`."""
        override = partial(apply_overrides, overrides=self.models) if self.models else None
        return Candidate(name, self.instances, override)


class ProviderRegistry:
    """The providers of this process and the order in which their models are tried.

    With `health`, models that rest because a call of any worker has failed are passed over.
    """

    def __init__(self, health: Health | None = None) -> None:
        self._health = health
        self._providers: dict[str, _Registered] = {}
        self._order = ModelOrder()

    def register(
        self,
        name: str,
        provider: Provider | Mapping[str, Provider],
        *,
        models: Mapping[str, ModelOverride] | None = None,
    ) -> None:
        """Adds a provider, or replaces the one of this name. Names have no `/`.

        A provider with several keys is given as its instances, one for each key, by the key's
        fingerprint. `models` are overrides for what the provider reports about its models.
        Raises `ConfigError`.
        """
        if not name or "/" in name:
            raise ConfigError(f"{name!r} cannot be a provider's name.")
        instances = provider if isinstance(provider, Mapping) else {"": provider}
        self._providers[name] = _Registered(instances, models or {})

    def get(self, name: str) -> Provider:
        """The provider, with its first key. Raises `ProviderNotFound`, which lists the registered
        names."""
        return self._get(name).first

    def instances(self, name: str) -> Mapping[str, Provider]:
        """The provider's instances by the fingerprint of their key. Raises `ProviderNotFound`."""
        return self._get(name).instances

    def names(self) -> list[str]:
        """The registered names, sorted."""
        return sorted(self._providers)

    async def list_models(self, name: str) -> list[ModelInfo]:
        """A provider's models, with what is configured about them. Raises `ProviderNotFound`, or
        `ProviderError` for a plug-in that cannot list them."""
        registered = self._get(name)
        try:
            models = await registered.first.list_models()
            return [apply_overrides(info, registered.models) for info in models]
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets one class
            cause = describe_error(error)
        raise ProviderError(f"{name}: its models are not known ({cause}).", provider=name)

    async def info(self, model: str) -> ModelInfo:
        """What `provider/model` can do. Raises `ConfigError` or `ProviderNotFound`."""
        provider, _ = split_name(model)
        return await self._get(provider).make_candidate(model).find_info()

    def set_default(self, model: str) -> None:
        """Sets the model of everybody who has no other. Raises `ConfigError` for a malformed name
        or an unregistered provider."""
        self._order = replace(self._order, default=self._check_name(model))

    def set_override(self, workspace_id: str, model: str | None) -> None:
        """Sets the model of one workspace; None removes it. Raises `ConfigError`."""
        overrides = {id: name for id, name in self._order.overrides.items() if id != workspace_id}
        if model is not None:
            overrides[workspace_id] = self._check_name(model)
        self._order = replace(self._order, overrides=overrides)

    def set_failover(self, models: Iterable[str]) -> None:
        """Sets the models that are tried next, in order. Raises `ConfigError`, and then changes
        nothing."""
        failover = tuple([self._check_name(model) for model in models])
        self._order = replace(self._order, failover=failover)

    async def route(self, request: ModelRequest) -> tuple[Provider, str]:
        """The provider of the first candidate that can be called now, and the model's own name.

        This is what `chain` would call first. Raises what `chain` raises,
        `AllProvidersUnavailable` naming each candidate's cause, and `StoreError`.
        """
        candidate = await self.chain(request).choose()
        return candidate.provider, candidate.model

    def chain(
        self,
        request: ModelRequest,
        *,
        order: ModelOrder | None = None,
        cooldowns: Sequence[float] | None = None,
        model_call: float = 300.0,
        idle_stream: float = 90.0,
        meter: Meter | None = None,
    ) -> FailoverProvider:
        """Makes one provider of all candidates of one turn; `FailoverProvider` says what the
        other keywords mean.

        `order` and `cooldowns` (seconds) are those of the turn's own snapshot of the
        configuration; without them those of the registry hold. A model of an unregistered
        provider is passed over, so that a session whose choice has left the configuration is
        still answered. Raises `BudgetExceeded` before any candidate is looked at, and
        `ConfigError` for a malformed name.
        """
        if request.budget is not None:
            request.budget.check()
        candidates: list[Candidate] = []
        causes: dict[str, str] = {}
        order = self._order if order is None else order
        for name in order.list_names(request.workspace_id, request.model):
            provider_name, _ = split_name(name)
            registered = self._providers.get(provider_name)
            if name in request.exclude:
                causes[name] = "excluded"
            elif registered is None:
                causes[name] = self._describe_unknown(provider_name)
            else:
                candidates.append(registered.make_candidate(name))
        health = self._health
        if health is not None and cooldowns is not None:
            health = health.with_steps(cooldowns)
        return FailoverProvider(
            candidates,
            model_call=model_call,
            idle_stream=idle_stream,
            causes=causes,
            health=health,
            meter=meter,
        )

    async def prepare(self) -> None:
        """Forgets what is known of keys that are not configured any more, prepares the providers
        whose models are configured, and asks the vendors about models that no catalogue knows. A
        failure here is left alone: it happens again, and is reported, when the model is called.
        Until then little is expected of the model."""
        if self._health is not None:
            known = self._providers.items()
            await self._health.keep_only({name: set(each.instances) for name, each in known})
        order = self._order
        models = [*order.list_names(), *order.overrides.values()]
        names = [split_name(model) for model in dict.fromkeys(models)]
        for provider_name in dict.fromkeys(provider_name for provider_name, _ in names):
            for provider in self._providers[provider_name].instances.values():
                prepare = getattr(provider, "prepare", None)
                if prepare is not None:
                    with contextlib.suppress(Exception):
                        await prepare()
        for provider_name, model in names:
            provider = self._providers[provider_name].first
            if isinstance(provider, Catalogued) and provider.model_info(model) == ModelInfo(model):
                with contextlib.suppress(Exception):
                    await provider.refresh_models()

    async def aclose(self) -> None:
        """Closes every provider that holds connections."""
        for registered in self._providers.values():
            for provider in registered.instances.values():
                close = getattr(provider, "aclose", None)
                if close is None:
                    continue
                try:
                    await close()
                except Exception as error:  # noqa: BLE001  # the others are closed all the same
                    log.warning("provider not closed", reason=describe_error(error))

    def _get(self, name: str) -> _Registered:
        try:
            return self._providers[name]
        except KeyError:
            raise ProviderNotFound(self._describe_unknown(name), provider=name) from None

    def _check_name(self, model: str) -> str:
        provider, _ = split_name(model)
        if provider not in self._providers:
            raise ConfigError(f"{model!r}: {self._describe_unknown(provider)}")
        return model

    def _describe_unknown(self, name: str) -> str:
        names = ", ".join(self.names()) or "none"
        return f"no provider named {name!r} is configured (there are: {names})"
