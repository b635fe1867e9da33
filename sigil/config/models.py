"""The settings of models and money: providers, which model answers, prices and budgets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sigil.config.section import Section
from sigil.config.types import Count, HttpUrl, ModelName, Number, Seconds, Secret, TypeName

Usd = Annotated[float, Field(ge=0, le=1e6), Number]
Tokens = Annotated[int, Field(ge=1, le=100_000_000), Number]


class PriceSettings(Section):
    """What a model costs, in US dollars per million tokens."""

    input: Usd = Field(description="Tokens in.")
    output: Usd = Field(description="Tokens out, thoughts included.")
    cached_input: Usd | None = Field(
        None, description="Tokens in that the vendor's prompt cache had. Default: as input."
    )
    cache_write: Usd | None = Field(
        None, description="Tokens in that are written to the prompt cache. Default: as input."
    )


class ModelOverride(Section):
    """What is known of a model better than the catalogue knows it; what is not given stays."""

    tools: bool | None = Field(None, description="It can call tools.")
    vision: bool | None = Field(None, description="It can see pictures.")
    streaming: bool | None = Field(None, description="It can stream its answer.")
    thinking: bool | None = Field(None, description="It thinks before it answers.")
    max_context_tokens: Tokens | None = Field(None, description="Tokens in and out together.")
    max_output_tokens: Tokens | None = Field(None, description="The longest answer.")
    price: PriceSettings | None = Field(None, description="What it costs; see price.input.")


class ProviderSettings(Section):
    """A vendor's API that models are called through."""

    type: TypeName | None = Field(
        None,
        description="A built-in provider, or package.module:Class. Default: the provider's name.",
    )
    api_key: Secret | None = Field(None, description="The vendor's key, e.g. ${OPENAI_API_KEY}.")
    api_keys: list[Secret] = Field(
        default_factory=list,
        max_length=100,
        description="Several keys, used in turn; one that is limited rests alone.",
    )
    base_url: HttpUrl | None = Field(
        None,
        description="Another server with the same API, e.g. http://127.0.0.1:11434/v1.",
    )
    models: dict[str, ModelOverride] = Field(
        default_factory=dict,
        max_length=1000,
        description="What its models can do and cost, by the model's name; what its entry does "
        "not say, that of `*` says.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Further options of this type of provider."
    )


class ModelSettings(Section):
    """Which model answers."""

    default: ModelName = Field("echo/echo", description="provider/model.")
    failover: list[ModelName] = Field(
        default_factory=list,
        max_length=20,
        description="provider/model names to try, in order, when the first choice fails.",
    )
    max_tokens: Count = Field(4096, description="The longest answer of one model call.")
    temperature: Annotated[float, Field(ge=0, le=2), Number] | None = Field(
        None, description="Default: the vendor's."
    )
    cooldowns: list[Seconds] = Field(
        default_factory=lambda: [30.0, 60.0, 300.0],
        min_length=1,
        max_length=10,
        description="How long a model that failed is left alone by all workers: after the first "
        "failure, the second in a row, and so on; the last one for all further.",
    )


class DollarLimits(Section):
    """US dollars per hour and per day (UTC)."""

    max_hour_usd: Usd | None = Field(None, description="US dollars per hour.")
    max_day_usd: Usd | None = Field(None, description="US dollars per day (UTC).")


class BudgetSettings(DollarLimits):
    """Limits; one that is not given is no limit. Those in dollars are for everything."""

    max_session_tokens: Annotated[int, Field(ge=0), Number] | None = Field(
        None, description="Tokens of one session; /new starts with a fresh budget."
    )
    session: DollarLimits = Field(default_factory=DollarLimits, description="For each session.")
    user: DollarLimits = Field(default_factory=DollarLimits, description="For each person.")
    workspace: DollarLimits = Field(default_factory=DollarLimits, description="For each workspace.")
    unknown_price: Literal["refuse", "allow"] = Field(
        "refuse",
        description="A model whose price is unknown, where dollars are limited: refuse it, or "
        "allow it and count nothing.",
    )
