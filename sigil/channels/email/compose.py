"""Writes the mails that go out."""

from __future__ import annotations

import html
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import TYPE_CHECKING

from sigil.channels.email.mail import File
from sigil.channels.email.threads import Thread

if TYPE_CHECKING:
    from sigil.channels.base import Chunk

# Folding at 78 would encode long ids, and readers then find no thread. Lines may have 998
# characters (RFC 5322, 2.1.1), and bodies are encoded to short lines anyway.
_POLICY = SMTP.clone(max_line_length=900)
_LONGEST_SUBJECT = 200


def compose(
    chunk: Chunk,
    thread: Thread,
    files: Sequence[File],
    notes: Sequence[str],
    *,
    address: str,
    message_id: str,
) -> EmailMessage:
    """The mail that a chunk becomes. It answers the newest of the mails that the reply answers,
    or else the last one of the thread. `notes` stand below the words."""
    message = chunk.message
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = address
    mail["To"] = message.channel_id
    mail["Subject"] = _choose_subject(thread, chunk.text)
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = f"<{message_id}>"
    mail["Reply-To"] = address
    parent = next((each for each in reversed(message.answers) if each in thread.ids), None)
    if parent is None and thread.ids:
        parent = thread.ids[-1]
    if parent is not None:
        known = thread.ids[: thread.ids.index(parent) + 1]
        _add_ids(mail, parent, known)
    # RFC 3834, 5: so that no machine answers this one.
    mail["Auto-Submitted"] = "auto-replied" if parent else "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    _add_words(mail, chunk, notes)
    for file in files:
        main, _, sub = file.mime_type.partition("/")
        if main in {"", "message", "multipart"} or not sub:
            main, sub = "application", "octet-stream"
        mail.add_attachment(file.data, maintype=main, subtype=sub, filename=file.name)
    return mail


def _add_ids(mail: EmailMessage, parent: str, known: Sequence[str]) -> None:
    if not parent.startswith("sha256-"):
        mail["In-Reply-To"] = f"<{parent}>"
    ids = [f"<{each}>" for each in known if not each.startswith("sha256-")]
    if ids:
        mail["References"] = " ".join(ids)


def _choose_subject(thread: Thread, text: str) -> str:
    """The thread's, or the first line of the text."""
    if thread.subject or thread.ids:
        return f"Re: {thread.subject}".strip()
    first = next((line for line in text.splitlines() if line.strip()), "A message")
    line = " ".join(first.strip("#*_ ").split())
    return line if len(line) <= _LONGEST_SUBJECT else line[: _LONGEST_SUBJECT - 1] + "…"


def _add_words(mail: EmailMessage, chunk: Chunk, notes: Sequence[str]) -> None:
    mail.set_content("\n\n".join((chunk.text, *notes)), cte="quoted-printable")
    shown = None if chunk.rendered is None else chunk.rendered.extras.get("html")
    if isinstance(shown, str):
        below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
        mail.add_alternative(shown + below, subtype="html", cte="quoted-printable")
