"""Which model answers: the registered providers, the order between them, and what may be spent.

A model is named `provider/model`, split at the first `/`. The order is: the request's own model,
the workspace's override, the default, then the failover chain; each name at most once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

import structlog
from pydantic import SecretStr

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ConfigError,
    ProviderError,
    ProviderNotFound,
)
from sigil.providers import catalogue
from sigil.providers.base import Catalogued, ModelInfo, Provider
from sigil.providers.chain.call import described
from sigil.providers.chain.failover import (
    Adapt,
    Candidate,
    FailoverProvider,
    resting,
    unavailability,
)
from sigil.providers.chain.health import fingerprint
from sigil.providers.chain.meter import Meter
from sigil.providers.openai import servers

if TYPE_CHECKING:
    from sigil.config.schema import ModelOverride
    from sigil.providers.chain.health import Health

log = structlog.get_logger(__name__)

PROVIDERS: dict[str, str] = {
    "anthropic": "sigil.providers.anthropic:AnthropicProvider",
    "echo": "sigil.providers.echo:EchoProvider",
    "google": "sigil.providers.google:GoogleProvider",
    "openai": "sigil.providers.openai:OpenAIProvider",
    **servers.TYPES,
}
"""Type of provider to its class, loaded on first use."""


class ProviderSettings(Protocol):
    """What `load` reads of one entry of `providers:` in the configuration."""

    @property
    def type(self) -> str | None: ...
    @property
    def api_key(self) -> SecretStr | None: ...
    @property
    def api_keys(self) -> Sequence[SecretStr]: ...
    @property
    def base_url(self) -> str | None: ...
    @property
    def options(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent and what was: tokens of the session, US dollars of the hour and day.

    A limit of None is no limit; a limit that is reached allows nothing more.
    """

    max_session_tokens: int | None = None
    used_session_tokens: int = 0
    max_hour_usd: float | None = None
    used_hour_usd: float = 0.0
    max_day_usd: float | None = None
    used_day_usd: float = 0.0

    def check(self) -> None:
        """Raises `BudgetExceeded` naming the first window that is used up."""
        tokens = self.max_session_tokens
        if tokens is not None and self.used_session_tokens >= tokens:
            raise BudgetExceeded(
                f"The token budget of this session is used up "
                f"({self.used_session_tokens} of {tokens} tokens).",
                window="session",
            )
        for window, used, limit in (
            ("hour", self.used_hour_usd, self.max_hour_usd),
            ("day", self.used_day_usd, self.max_day_usd),
        ):
            if limit is not None and used >= limit:
                raise BudgetExceeded(
                    f"The budget of this {window} is used up (${used:.2f} of ${limit:.2f}).",
                    window=window,
                )


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Who asks for a model. `model` and `exclude` are full `provider/model` names."""

    workspace_id: str | None = None
    model: str | None = None
    budget: Budget | None = None
    exclude: tuple[str, ...] | list[str] | frozenset[str] | set[str] = ()


def split_name(full_name: str) -> tuple[str, str]:
    """`provider/model` as its two parts. Raises `ConfigError` for a name that has not both."""
    provider, slash, model = full_name.partition("/")
    if not (slash and provider and model):
        raise ConfigError(
            f"{full_name!r} is not the name of a model.", hint="Write it as provider/model."
        )
    return provider, model


@dataclass(frozen=True, slots=True)
class _Registered:
    """A provider's instances by the fingerprint of their key, and what is configured of its
    models."""

    instances: Mapping[str, Provider]
    models: Mapping[str, ModelOverride] = field(default_factory=dict)

    @property
    def first(self) -> Provider:
        return next(iter(self.instances.values()))


class ProviderRegistry:
    """The providers of this process and the order in which their models are tried.

    With `health` a model that rests, because a call of any worker has failed, is passed over.
    """

    def __init__(self, health: Health | None = None) -> None:
        self._health = health
        self._providers: dict[str, _Registered] = {}
        self._default: str | None = None
        self._overrides: dict[str, str] = {}
        self._failover: tuple[str, ...] = ()

    def register(
        self,
        name: str,
        provider: Provider | Mapping[str, Provider],
        *,
        models: Mapping[str, ModelOverride] | None = None,
    ) -> None:
        """Makes a provider known; a name that is taken is replaced. No `/` in names.

        One with several keys is given as its instances, each with one key, by fingerprint.
        `models` is what is known better of its models than it knows itself.
        """
        if not name or "/" in name:
            raise ConfigError(f"{name!r} cannot be a provider's name.")
        instances = provider if isinstance(provider, Mapping) else {"": provider}
        self._providers[name] = _Registered(instances, models or {})

    def get(self, name: str) -> Provider:
        """The provider, with its first key. Raises `ProviderNotFound`, which lists the names
        that there are."""
        return self._registered(name).first

    def instances(self, name: str) -> Mapping[str, Provider]:
        """The provider's instances by the fingerprint of their key. Raises `ProviderNotFound`."""
        return self._registered(name).instances

    async def list_models(self, name: str) -> list[ModelInfo]:
        """A provider's models as it knows them, with what is configured over it. Raises
        `ProviderNotFound`, or `ProviderError` for a plug-in that cannot tell."""
        registered = self._registered(name)
        try:
            known = await registered.first.list_models()
            return [catalogue.overridden(info, registered.models) for info in known]
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets one class
            why = described(error)
        raise ProviderError(f"{name}: its models are not known ({why}).", provider=name)

    async def info(self, model: str) -> ModelInfo:
        """What `provider/model` can do. Raises `ConfigError` or `ProviderNotFound`."""
        provider, _ = split_name(model)
        return await self._candidate(model, self._registered(provider)).info()

    def names(self) -> list[str]:
        """The registered names, sorted."""
        return sorted(self._providers)

    def set_default(self, model: str) -> None:
        """Raises `ConfigError` for a malformed name or an unregistered provider."""
        self._default = self._checked(model)

    def set_override(self, workspace_id: str, model: str | None) -> None:
        """The model of one workspace; None takes the override away. Raises `ConfigError`."""
        if model is None:
            self._overrides.pop(workspace_id, None)
        else:
            self._overrides[workspace_id] = self._checked(model)

    def set_failover(self, models: Iterable[str]) -> None:
        """Replaces the chain, in order. Raises `ConfigError`, and then changes nothing."""
        self._failover = tuple([self._checked(model) for model in models])

    async def route(self, request: ModelRequest) -> tuple[Provider, str]:
        """The first candidate that is available, as its provider and the model's own name.

        Raises `BudgetExceeded` before any candidate is looked at, `ConfigError` for a malformed
        name, `AllProvidersUnavailable` naming each candidate's cause. A model of an unregistered
        provider counts as unavailable, so that a session whose choice has left the configuration
        is still answered by the next; `get` tells whether a provider exists.
        """
        candidates, causes = self._candidates(request)
        for candidate in candidates:
            cause = await unavailability(candidate.provider) or await self._rest(candidate)
            if cause is None:
                return candidate.provider, candidate.model
            causes[candidate.name] = cause
        raise AllProvidersUnavailable(causes)

    def chain(
        self,
        request: ModelRequest,
        *,
        model_call: float = 300.0,
        idle_stream: float = 90.0,
        meter: Meter | None = None,
        adapt: Adapt | None = None,
    ) -> FailoverProvider:
        """All candidates of one turn as one provider; `route` says what it raises.

        Whether a candidate is available is asked right before it is tried. `model_call` and
        `idle_stream` are seconds; `FailoverProvider` says what the others are for.
        """
        candidates, causes = self._candidates(request)
        return FailoverProvider(
            candidates,
            model_call=model_call,
            idle_stream=idle_stream,
            causes=causes,
            health=self._health,
            meter=meter,
            adapt=adapt,
        )

    async def prepare(self) -> None:
        """Makes ready the providers whose models are configured, and asks the vendors of models
        that no catalogue knows what these can do. What fails here fails again, and is said, when
        a model is called; until then little is expected of it."""
        models = (self._default, *self._overrides.values(), *self._failover)
        names = [model for model in dict.fromkeys(models) if model]
        for name in dict.fromkeys(split_name(model)[0] for model in names):
            for provider in self._providers[name].instances.values():
                prepare = getattr(provider, "prepare", None)
                if prepare is not None:
                    with contextlib.suppress(Exception):
                        await prepare()
        for model in names:
            provider, plain = self._providers[split_name(model)[0]].first, split_name(model)[1]
            if isinstance(provider, Catalogued) and provider.model_info(plain) == ModelInfo(plain):
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
                    log.warning("a provider was not closed", error=described(error))

    async def _rest(self, candidate: Candidate) -> str | None:
        if self._health is None:
            return None
        cooldown = await self._health.look(
            candidate.provider_name, candidate.model, list(candidate.instances)
        )
        return None if cooldown is None else resting(cooldown)

    def _candidates(self, request: ModelRequest) -> tuple[list[Candidate], dict[str, str]]:
        """The candidates in order, and why each of the others is passed over."""
        if request.budget is not None:
            request.budget.check()
        override = self._overrides.get(request.workspace_id or "")
        names = (request.model, override, self._default, *self._failover)
        candidates: list[Candidate] = []
        causes: dict[str, str] = {}
        for name in dict.fromkeys(name for name in names if name is not None):
            provider_name, _ = split_name(name)
            registered = self._providers.get(provider_name)
            if name in request.exclude:
                causes[name] = "excluded"
            elif registered is None:
                causes[name] = self._unknown(provider_name)
            else:
                candidates.append(self._candidate(name, registered))
        return candidates, causes

    def _candidate(self, name: str, registered: _Registered) -> Candidate:
        describe = partial(catalogue.overridden, overrides=registered.models)
        return Candidate(name, registered.instances, describe if registered.models else None)

    def _registered(self, name: str) -> _Registered:
        try:
            return self._providers[name]
        except KeyError:
            raise ProviderNotFound(self._unknown(name), provider=name) from None

    def _checked(self, model: str) -> str:
        provider, _ = split_name(model)
        if provider not in self._providers:
            raise ConfigError(f"{model!r}: {self._unknown(provider)}")
        return model

    def _unknown(self, name: str) -> str:
        known = ", ".join(self.names()) or "none"
        return f"no provider named {name!r} is configured (there are: {known})"


def load(name: str, settings: ProviderSettings | None = None) -> dict[str, Provider]:
    """Builds one provider of the configuration, an instance for each of its keys by the key's
    fingerprint; needs no running loop and opens no connection.

    `type` is a name in `PROVIDERS` (the default: the provider's own name) or
    `package.module:Class`. The class is called with `api_key`, `base_url` and the options as
    keywords; one of the table is also given its configured `name`. Raises `ConfigError`.
    """
    kind = (settings.type if settings else None) or name
    path = PROVIDERS.get(kind, kind if ":" in kind else "")
    if not path:
        raise ConfigError(
            f"providers.{name}.type: {kind!r} is not a type of provider.",
            hint=f"Choose one of {', '.join(sorted(PROVIDERS))}, or package.module:Class.",
        )
    arguments: dict[str, Any] = dict(settings.options) if settings else {}
    arguments["base_url"] = settings.base_url if settings else None
    if kind in PROVIDERS:
        arguments["name"] = name
    if kind in servers.COMPATIBLE:
        arguments.setdefault("server", kind)
    factory = _class(name, path)
    try:
        return {
            fingerprint(name, key or ""): cast(Provider, factory(api_key=key, **arguments))
            for key in _keys(settings)
        }
    except TypeError as error:
        raise ConfigError(f"providers.{name}.options: {error}.") from None
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001  # a plug-in's; its text may quote the key
        why = type(error).__name__
    raise ConfigError(f"providers.{name}: {path!r} cannot be made ({why}).")


def _keys(settings: ProviderSettings | None) -> list[str | None]:
    """Every key once, in order; None for a provider without one."""
    if settings is None:
        return [None]
    given = [settings.api_key, *settings.api_keys]
    return list(dict.fromkeys(key.get_secret_value() for key in given if key)) or [None]


def _class(name: str, path: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"providers.{name}.type: {path!r} cannot be loaded: {error}.") from error
    except Exception as error:  # a plug-in's module that breaks
        why = type(error).__name__
        raise ConfigError(f"providers.{name}.type: {path!r} cannot be loaded ({why}).") from error
