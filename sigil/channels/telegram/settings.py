"""The settings of a Telegram bot."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from sigil.config.schema.channels import ChannelSettings
from sigil.config.schema.values import HttpUrl, Secret

_TOKEN = re.compile(r"[A-Za-z0-9:_-]{1,256}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


def _check_token(value: SecretStr) -> SecretStr:
    """The token becomes a part of each address, and must not lead elsewhere."""
    if not _TOKEN.fullmatch(value.get_secret_value()):
        raise PydanticCustomError("secret_form", "must be a token such as 123456:ABC-def")
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    """See https://core.telegram.org/bots/api#setwebhook."""
    if not _SECRET.fullmatch(value.get_secret_value()):
        raise PydanticCustomError("secret_form", "must be up to 256 of A-Z, a-z, 0-9, _ and -")
    return value


class TelegramSettings(ChannelSettings):
    """A bot, by the token that BotFather gave."""

    needs: ClassVar[tuple[str, ...]] = ("token",)

    token: Annotated[Secret, AfterValidator(_check_token)] | None = Field(
        None, description="The bot's token, from @BotFather."
    )
    mode: Literal["polling", "webhook"] = Field(
        "polling",
        description="Ask Telegram for messages, or be called by it; then a public URL is needed.",
    )
    base_url: HttpUrl = Field(
        "https://api.telegram.org", description="The Bot API server; another one is your own."
    )
    public_url: HttpUrl | None = Field(
        None,
        description="Where Telegram reaches the gateway, such as https://sigil.example.org; it "
        "calls /hooks/NAME there. Default: gateway.public_url.",
    )
    secret: Annotated[Secret, AfterValidator(_check_secret)] | None = Field(
        None, description="What Telegram's calls carry. Default: derived from the token."
    )

    def find_secret(self, name: str) -> str:
        """What calls to the hook of the account `name` carry; the same in every process."""
        if self.secret is not None:
            return self.secret.get_secret_value()
        token = "" if self.token is None else self.token.get_secret_value()
        return hmac.new(token.encode(), f"hook {name}".encode(), hashlib.sha256).hexdigest()
