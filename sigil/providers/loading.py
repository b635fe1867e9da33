"""From an entry under `providers:` to provider objects: type, class, one instance a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from pydantic import SecretStr

from sigil.errors import ConfigError
from sigil.providers.base import Catalogued, ModelInfo, Provider
from sigil.providers.names import fingerprint
from sigil.providers.openai import servers

PROVIDERS: dict[str, str] = {
    "anthropic": "sigil.providers.anthropic:AnthropicProvider",
    "echo": "sigil.providers.echo:EchoProvider",
    "google": "sigil.providers.google:GoogleProvider",
    "openai": "sigil.providers.openai:OpenAIProvider",
    **servers.TYPES,
}
"""Each type of provider and its class, which is loaded on first use."""


class ProviderSettings(Protocol):
    """What `load` reads of one entry under `providers:`."""

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


def load(name: str, settings: ProviderSettings | None = None) -> dict[str, Provider]:
    """Builds one configured provider: an instance for each of its keys, by the key's fingerprint.

    Needs no running loop and opens no connection. `type` is a name in `PROVIDERS` (by default the
    provider's own name) or `package.module:Class`. The class is called with `api_key`, `base_url`
    and the options as keywords; a class of the table is also given its configured `name`. Raises
    `ConfigError`, which names the place in the configuration.
    """
    return _make_instances(name, settings, _list_keys(settings))


def load_catalogue(name: str, settings: ProviderSettings | None = None) -> Provider:
    """The provider for what it knows without being called: its key is made up. Raises
    `ConfigError`."""
    (instance,) = _make_instances(name, settings, ["none"]).values()
    return instance


def find_builtin_model(name: str, model: str, settings: ProviderSettings) -> ModelInfo | None:
    """What is built in about a provider's model; None if nothing is, as for servers of one's own
    and plug-ins."""
    if (settings.type or name) not in PROVIDERS:
        return None
    try:
        provider = load_catalogue(name, settings)
    except ConfigError:
        return None
    info = provider.model_info(model) if isinstance(provider, Catalogued) else ModelInfo(model)
    return None if info == ModelInfo(model) else info


def _make_instances(
    name: str, settings: ProviderSettings | None, keys: Sequence[str | None]
) -> dict[str, Provider]:
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
    provider_class = _import_class(name, path)
    try:
        return {
            fingerprint(name, key or ""): cast(Provider, provider_class(api_key=key, **arguments))
            for key in keys
        }
    except TypeError as error:
        raise ConfigError(f"providers.{name}.options: {error}.") from None
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001  # a plug-in's; its text may quote the key
        cause = type(error).__name__
    raise ConfigError(f"providers.{name}: {path!r} cannot be made ({cause}).")


def _list_keys(settings: ProviderSettings | None) -> list[str | None]:
    """Lists each key once, in order; a provider without a key has one entry, None."""
    if settings is None:
        return [None]
    keys = [settings.api_key, *settings.api_keys]
    return list(dict.fromkeys(key.get_secret_value() for key in keys if key)) or [None]


def _import_class(name: str, path: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"providers.{name}.type: {path!r} cannot be loaded: {error}.") from error
    except Exception as error:  # a plug-in's module that breaks
        cause = type(error).__name__
        raise ConfigError(f"providers.{name}.type: {path!r} cannot be loaded ({cause}).") from error
