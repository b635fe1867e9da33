"""A mailbox over IMAP. Every method blocks: call them in one thread, one after the other."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imapclient import IMAPClient

    from sigil.channels.email.settings import EmailSettings, MailServer

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 15.0, 60.0
RENEW_IDLE_S = 9 * 60.0
"""IDLE ends after 29 minutes (RFC 2177), and address translators forget sooner."""
POLL_S = 60.0
LARGEST_MAIL = 30 * 1024 * 1024
"""Of a larger mail only the beginning is read, in bytes."""
BEGINNING = 256 * 1024
_PORTS = {"implicit": 993, "starttls": 143, "none": 143}
_SLICE_S = 1.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a folder stands: which numbering of mails is in force, and the next number."""

    validity: int
    next_uid: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """A mail as it is in the folder. `raw` is only the beginning if `is_cut`; `arrived` is in
    seconds since the epoch."""

    uid: int
    raw: bytes
    arrived: float
    is_cut: bool = False


class Mailbox:
    """One connection. Methods raise what IMAPClient and sockets raise (see `errors.class_imap`)."""

    def __init__(self, settings: EmailSettings) -> None:
        assert settings.imap is not None
        self._server: MailServer = settings.imap
        self._settings = settings
        self._client: IMAPClient | None = None
        self._has_idle = False
        self._is_closed = False

    def connect(self) -> None:
        """Opens a connection, without a login."""
        from imapclient import IMAPClient, SocketTimeout

        server = self._server
        port = server.port or _PORTS[server.tls]
        is_implicit = server.tls == "implicit"
        # Reading the certificates takes a while.
        context = None if server.tls == "none" else ssl.create_default_context()
        client = IMAPClient(
            server.host,
            port=port,
            ssl=is_implicit,
            ssl_context=context if is_implicit else None,
            timeout=SocketTimeout(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        )
        client.socket().setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._client = client
        if self._is_closed:  # cancelled meanwhile
            self.abort()
        if server.tls == "starttls":
            client.starttls(context)

    def log_in(self) -> None:
        """Logs in. Servers that know ID may want it; others break by it."""
        assert self._settings.password is not None
        name = self._settings.username or self._settings.address
        self._open.login(name, self._settings.password.get_secret_value())
        if self._open.has_capability("ID"):
            self._open.id_({"name": "sigil"})
        self._has_idle = self._open.has_capability("IDLE")

    def select(self, folder: str = "INBOX") -> Position:
        """Opens a folder for reading only: nothing is marked as read."""
        found = self._open.select_folder(folder, readonly=True)
        validity = int(found.get(b"UIDVALIDITY", 0))
        next_uid = found.get(b"UIDNEXT")
        if next_uid is None:
            next_uid = max(self._open.search("ALL"), default=0) + 1
        return Position(validity, int(next_uid))

    def list_after(self, uid: int) -> list[int]:
        """The mails with higher numbers, in order. `UID n:*` gives the last mail even if its
        number is lower."""
        self._pop_news()
        return sorted(each for each in self._open.search(["UID", f"{uid + 1}:*"]) if each > uid)

    def list_since(self, at: float) -> list[int]:
        """The mails that arrived on that day or later, in order."""
        day = time.gmtime(at - 24 * 3600)  # the server's day may be another
        return sorted(self._open.search(["SINCE", time.strftime("%d-%b-%Y", day)]))

    def fetch(self, uid: int) -> Fetched | None:
        """A mail, which stays unread; None if it was deleted meanwhile."""
        sizes = self._open.fetch([uid], ["RFC822.SIZE", "INTERNALDATE"])
        if uid not in sizes:
            return None
        is_cut = int(sizes[uid].get(b"RFC822.SIZE", 0)) > LARGEST_MAIL
        wanted = f"BODY.PEEK[]<0.{BEGINNING}>" if is_cut else "BODY.PEEK[]"
        found = self._open.fetch([uid], [wanted]).get(uid, {})
        raw = found.get(b"BODY[]<0>" if is_cut else b"BODY[]")
        if not isinstance(raw, bytes):
            return None
        arrived = sizes[uid].get(b"INTERNALDATE")
        return Fetched(uid, raw, arrived.timestamp() if arrived else 0.0, is_cut)

    def wait(self) -> None:
        """Returns when something has happened in the folder, or after a while."""
        if self._pop_news():
            return
        if self._has_idle:
            self._idle(RENEW_IDLE_S)
        else:
            self._sleep(POLL_S)
            self._open.noop()

    def _pop_news(self) -> bool:
        """Whether the server told of new mail beside its last answers. It tells only once: what
        came during a search is neither in its result nor told again by IDLE."""
        _, found = self._open._imap.response("EXISTS")
        return any(each is not None for each in found)

    def has_mail(self, folder: str, message_id: str) -> bool:
        """Whether a folder has a mail with this Message-ID."""
        self.select(folder)
        return bool(self._open.search(["HEADER", "Message-ID", message_id]))

    def find_sent_folder(self) -> str | None:
        """What the server calls its folder of sent mails, if it says so."""
        from imapclient.imapclient import SENT

        found = self._open.find_special_folder(SENT)
        return None if found is None else str(found)

    @property
    def has_idle(self) -> bool:
        """Whether the server tells of new mail by itself."""
        return self._has_idle

    def close(self) -> None:
        """Logs out, if that is possible, and closes the connection."""
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(Exception):
            if not self._is_closed:
                client.logout()
        with contextlib.suppress(Exception):
            client.shutdown()

    def abort(self) -> None:
        """Ends whatever the connection waits for. May be called in another thread."""
        self._is_closed = True
        if self._client is None:
            return
        # A copy of the descriptor: closing the object itself would race with its reader.
        with (
            contextlib.suppress(OSError, AttributeError),
            socket.socket(fileno=os.dup(self._client.socket().fileno())) as copy,
        ):
            copy.shutdown(socket.SHUT_RDWR)

    @property
    def _open(self) -> Any:  # IMAPClient has no types
        if self._client is None:
            raise ConnectionError("not connected")
        return self._client

    def _idle(self, seconds: float) -> None:
        self._open.idle()
        end = time.monotonic() + seconds
        news: list[Any] = [None] if self._has_unread_bytes() else []
        while not self._is_closed and not news and (left := end - time.monotonic()) > 0:
            before = time.monotonic()
            found = self._open.idle_check(timeout=left)
            if not found and time.monotonic() - before < min(left, _SLICE_S) / 2:
                raise ConnectionError("the server closed the connection")
            if any(each[0] == b"BYE" for each in found):
                raise ConnectionError("the server said BYE")
            news = [each for each in found if len(each) > 1 and each[1] in (b"EXISTS", b"RECENT")]
        if self._is_closed:
            raise ConnectionError("closed")
        self._open.idle_done()

    def _has_unread_bytes(self) -> bool:
        """Whether the server said something together with its consent to IDLE. That is in the
        reader's buffer by now, where `idle_check`, which asks the socket, does not see it."""
        connection = self._open.socket()
        connection.setblocking(False)
        try:
            return bool(self._open._imap.file.peek(1))
        except OSError:  # nothing is there
            return False
        finally:
            connection.settimeout(READ_TIMEOUT_S)

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._is_closed and time.monotonic() < end:
            time.sleep(min(_SLICE_S, max(0.0, end - time.monotonic())))
