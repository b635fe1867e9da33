"""URLs of servers that Redis Sentinel watches over."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

SCHEME = "sentinel://"
PORT = 26379
FORM = "sentinel://[user:password@]host[:port][;host[:port]…]/master[/db]"


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """Which Sentinels to ask for which primary, and how to log in there.

    User name and password are the primary's; the Sentinels are asked without.
    """

    sentinels: tuple[tuple[str, int], ...]
    master: str
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> SentinelUrl:
        """Reads a URL of the form `FORM`. Raises `ValueError` that does not show it."""
        user_info, _, rest = url.removeprefix(SCHEME).rpartition("@")
        places, _, path = rest.partition("/")
        username, _, password = user_info.partition(":")
        master, _, db = path.partition("/")
        try:
            sentinels = tuple(_place(place) for place in places.split(";"))
            if not url.startswith(SCHEME) or not master or set(rest) & set("?#"):
                raise ValueError
            return cls(
                sentinels=sentinels,
                master=unquote(master),
                db=int(db or 0),
                username=unquote(username) or None,
                password=unquote(password) or None,
            )
        except ValueError:
            raise ValueError(f"must have the form {FORM}") from None

    def broker_url(self) -> str:
        """The same in kombu's words; the master's name goes into the transport options."""
        user_info = f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@"
        login = user_info if self.username or self.password else ""
        return ";".join(
            f"{SCHEME}{login}{f'[{host}]' if ':' in host else host}:{port}/{self.db}"
            for host, port in self.sentinels
        )


def _place(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path:
        raise ValueError
    return parts.hostname, parts.port or PORT
