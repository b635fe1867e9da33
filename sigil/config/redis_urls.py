"""Forms of the URL of a Redis server: redis-py's, Sentinel's and kombu's.

The configuration has one `redis.url`. redis-py takes it as it is, unless it names servers that
Redis Sentinel watches. Celery reaches the same server through kombu, which spells URLs its own
way:

    unix:///S?db=1                →  redis+socket:///S?virtual_host=1
    sentinel://a;b/master/1       →  sentinel://a:26379/1;sentinel://b:26379/1
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

SCHEME = "sentinel://"
PORT = 26379
FORM = "sentinel://[user:password@]host[:port][;host[:port]…]/master[/db]"


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """Which Sentinels to ask for which primary, and how to log in to it.

    User name and password are for the primary; the Sentinels are asked without a login.
    """

    sentinels: tuple[tuple[str, int], ...]
    master: str
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> SentinelUrl:
        """Reads a URL of the form `FORM`. Raises `ValueError`, which does not show the URL."""
        user_info, _, rest = url.removeprefix(SCHEME).rpartition("@")
        places, _, path = rest.partition("/")
        username, _, password = user_info.partition(":")
        master, _, db = path.partition("/")
        try:
            sentinels = tuple(_parse_place(place) for place in places.split(";"))
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

    def to_broker_url(self) -> str:
        """Spells it as kombu does. The master's name is not in it: kombu takes that from the
        transport options."""
        user_info = f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@"
        login = user_info if self.username or self.password else ""
        return ";".join(
            f"{SCHEME}{login}{f'[{host}]' if ':' in host else host}:{port}/{self.db}"
            for host, port in self.sentinels
        )


def to_broker_url(redis_url: str) -> str:
    """Spells the URL of a server as kombu does.

    redis-py verifies the certificate of a `rediss://` server and kombu by default does not, so
    the URL asks kombu to, unless it already says what to do.
    """
    if redis_url.startswith(SCHEME):
        return SentinelUrl.parse(redis_url).to_broker_url()
    parts = urlsplit(redis_url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "unix":
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        path = quote(unquote(parts.path))
        return f"redis+socket://{user}{path}?virtual_host={query.get('db', '0')}"
    tls = {key: value for key, value in query.items() if key.startswith("ssl_")}
    if parts.scheme == "rediss":
        tls = {"ssl_cert_reqs": "required"} | tls
    path = f"/{query['db']}" if "db" in query else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(tls), ""))


def _parse_place(text: str) -> tuple[str, int]:
    """Reads `host` or `host:port`, where an IPv6 host stands in brackets."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path:
        raise ValueError
    return parts.hostname, parts.port or PORT
