"""The settings of what Sigil connects to and listens on: Redis, HTTP, and where logs go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sigil.config.schema.section import Section
from sigil.config.schema.values import (
    ByteCount,
    HostName,
    HttpUrl,
    KeyPrefix,
    Level,
    NetworkName,
    Number,
    RedisUrl,
    Secret,
)


class RedisSettings(Section):
    """The Redis (or Valkey) server that holds the broker and the state."""

    url: RedisUrl | None = Field(
        None,
        description="redis://, rediss:// (TLS) or unix:// URL, or "
        "sentinel://[user:password@]host:port[;host:port…]/master[/db]. "
        "Not given: `sigil up` starts a private Valkey in data_dir.",
    )
    prefix: KeyPrefix = Field(
        "sigil:",
        description="Put before every key, so that several Sigils can share one server.",
    )
    maxmemory: ByteCount | None = Field(
        None,
        description="The most memory that the private Valkey may use, such as 512mb; 0: no limit. "
        "New messages are refused from nine tenths of it on. Not given: a quarter of the "
        "machine's memory, 256mb at least. A server of your own has a setting of this name.",
    )


class GatewaySettings(Section):
    """The HTTP server: web page, webhooks, health, metrics."""

    host: HostName = Field(
        "127.0.0.1",
        description="Address to listen on. Anything beyond loopback needs a token.",
    )
    port: Annotated[int, Field(ge=0, le=65_535), Number] = Field(
        8787, description="Port to listen on; 0 takes any free one."
    )
    token: Secret | None = Field(
        None, description="A client that presents it acts as the owner. Needed beyond loopback."
    )
    allowed_hosts: list[HostName] = Field(
        default_factory=list,
        max_length=100,
        description="Further host names under which the page may be opened, e.g. behind a proxy.",
    )
    public_url: HttpUrl | None = Field(
        None,
        description="Where the gateway is reached from outside, such as https://sigil.example.org. "
        "Platforms are told to call the hooks there.",
    )


class BlobSettings(Section):
    """Files that came in with messages, kept for a day."""

    store: Literal["file", "redis"] = Field(
        "file",
        description="file: in data_dir, for roles that all run on one machine, up to 50 MB each "
        "and 2 GB in all. redis: for several machines, up to 8 MB each and 512 MB in all.",
    )


class NetworkSettings(Section):
    """Where addresses out of messages, pages and models may lead. What is configured itself, such
    as a base_url, may always be reached."""

    allow_private: list[NetworkName] = Field(
        default_factory=list,
        max_length=100,
        description="Hosts and networks in private ranges that they may reach, such as nas.local "
        "or 192.168.1.0/24. Default: none.",
    )


class LoggingSettings(Section):
    """Logs go to standard error."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: for people on a terminal, JSON elsewhere."
    )
    level: Level = Field("INFO", description="The lowest level that is logged.")
