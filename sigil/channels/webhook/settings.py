"""The settings of a generic webhook."""

from __future__ import annotations

from pydantic import Field

from sigil.config.schema.section import Section
from sigil.config.schema.values import HttpUrl, Secret


class WebhookSettings(Section):
    """What an entry of `type: webhook` needs."""

    secret: Secret = Field(description="What both sides sign their requests with.")
    callback_url: HttpUrl | None = Field(
        None, description="Where replies are posted to. Not given: replies cannot be delivered."
    )
