"""The settings of a mailbox."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from sigil.config.schema.channels import ChannelSettings
from sigil.config.schema.section import Section
from sigil.config.schema.values import HostName, Number, Secret

Address = Annotated[str, StringConstraints(pattern=r"^[^@\s<>]+@[^@\s<>]+$", to_lower=True)]
Port = Annotated[int, Field(ge=1, le=65_535), Number]


class MailServer(Section):
    """A server for mail."""

    host: HostName = Field(description="Name or address of the server.")
    port: Port | None = Field(None, description="Default: the protocol's usual one for `tls`.")
    tls: Literal["implicit", "starttls", "none"] = Field(
        "implicit",
        description="From the first byte on, after STARTTLS, or not at all (loopback only).",
    )


class EmailSettings(ChannelSettings):
    """What an entry of `type: email` needs."""

    needs: ClassVar[tuple[str, ...]] = ("address", "password", "imap", "smtp")

    address: Address | None = Field(None, description="The mailbox's own address.")
    username: str | None = Field(None, description="Login. Default: the address.")
    password: Secret | None = Field(None, description="Password, often an app password.")
    imap: MailServer | None = Field(None, description="Where mail is read.")
    smtp: MailServer | None = Field(None, description="Where mail is sent.")
    authserv_id: str | None = Field(
        None,
        max_length=255,
        description="How your mail server calls itself in Authentication-Results. Not given: "
        "nobody can prove who they are, and nothing is answered.",
    )
    sent_folder: str | None = Field(
        None,
        max_length=255,
        description="Where your provider files what is sent over SMTP. Given: a mail of which "
        "nobody knows whether it was sent is looked up there before it is sent again.",
    )
    answer_machines: list[Address] = Field(
        default_factory=list,
        description="Senders that are answered although their mail looks like a machine's.",
    )
