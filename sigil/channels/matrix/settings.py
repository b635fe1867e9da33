"""The settings of a Matrix account."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sigil.config.schema.channels import ChannelSettings
from sigil.config.schema.values import HttpUrl, Secret

MatrixUserId = Annotated[str, StringConstraints(pattern=r"^@[^\s:]+:\S+$", max_length=255)]
DeviceId = Annotated[str, StringConstraints(pattern=r"^\S+$", max_length=64)]


class MatrixSettings(ChannelSettings):
    """An account on a homeserver, with an access token or a password."""

    homeserver: HttpUrl = Field(description="The address of the homeserver's client API.")
    user_id: MatrixUserId = Field(description="The account's full id, such as @sigil:example.org.")
    access_token: Secret | None = Field(None, description="A token of the account.")
    password: Secret | None = Field(
        None, description="The account's password; used if there is no token, or it has expired."
    )
    device_id: DeviceId = Field(
        "SIGIL",
        description="The device that a login by password is for. Keep it: a message that may have "
        "been sent is safe to send again only from the same device.",
    )
