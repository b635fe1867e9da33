"""The settings of model vendors and their models: keys, abilities, prices, who answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from sigil.config.schema.section import Section
from sigil.config.schema.values import (
    Count,
    HttpUrl,
    ModelName,
    Number,
    Seconds,
    Secret,
    Tokens,
    TypeName,
    Usd,
)


class PriceSettings(Section):
    """What a model costs, in US dollars per million tokens."""

    input: Usd = Field(description="Tokens in.")
    output: Usd = Field(description="Tokens out, thoughts included.")
    cached_input: Usd | None = Field(
        None, description="Tokens in that came from the vendor's prompt cache. Default: as input."
    )
    cache_write: Usd | None = Field(
        None, description="Tokens in that are written to the prompt cache. Default: as input."
    )


class ModelOverride(Section):
    """Corrects what the catalogue says about a model; what is not given stays."""

    tools: bool | None = Field(None, description="It can call tools.")
    vision: bool | None = Field(None, description="It can see pictures.")
    documents: bool | None = Field(None, description="It takes PDFs as they are.")
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
        description="Several keys, used in turn; a key that is rate-limited rests alone.",
    )
    base_url: HttpUrl | None = Field(
        None,
        description="Another server with the same API, e.g. http://127.0.0.1:11434/v1.",
    )
    models: dict[str, ModelOverride] = Field(
        default_factory=dict,
        max_length=1000,
        description="What its models can do and cost, by the model's name; the entry `*` fills "
        "in what a model's own entry does not say.",
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
    allowed: list[ModelName] = Field(
        default_factory=list,
        max_length=100,
        description="provider/model names that people may choose with /model. Default: default, "
        "failover and the model of their workspace.",
    )
    max_tokens: Count = Field(4096, description="The longest answer of one model call.")
    temperature: Annotated[float, Field(ge=0, le=2), Number] | None = Field(
        None, description="Default: the vendor's."
    )
    cooldowns: list[Seconds] = Field(
        default_factory=lambda: [30.0, 60.0, 120.0],
        min_length=1,
        max_length=10,
        description="How long all workers leave a failed model alone: after the first "
        "failure, the second in a row, and so on; the last one for all further.",
    )
    patience: Annotated[float, Field(ge=0, le=86_400), Number] = Field(
        600.0,
        description="How long a message waits, from its arrival on, for a model that rests for a "
        "cause that passes; 0: not at all.",
    )
