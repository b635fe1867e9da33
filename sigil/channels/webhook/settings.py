"""The settings of a generic webhook."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sigil.config.schema.channels import ChannelSettings
from sigil.config.schema.values import HttpUrl, Secret


class WebhookSettings(ChannelSettings):
    """What an entry of `type: webhook` needs."""

    needs: ClassVar[tuple[str, ...]] = ("secret",)

    secret: Secret | None = Field(None, description="What both sides sign their requests with.")
    callback_url: HttpUrl | None = Field(
        None, description="Where replies are posted to. Not given: replies cannot be delivered."
    )
