"""Which mails are answered: those of people whose address is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.email.authentication import is_author_proven
from sigil.channels.email.machines import find_machine, is_own

if TYPE_CHECKING:
    from sigil.channels.email.mail import Mail
    from sigil.channels.email.settings import EmailSettings


def find_reason(mail: Mail, settings: EmailSettings) -> str | None:
    """Why a mail must not be answered, or None. Who has not proven their address is told nothing:
    the answer would go to somebody who never wrote."""
    assert settings.address is not None
    if is_own(mail.headers, mail.author, settings.address):
        return "we sent it"
    if mail.author is None:
        return "it has not exactly one author"
    machine = find_machine(mail.headers, mail.author, settings.answer_machines)
    if machine is not None:
        return f"a machine sent it: {machine}"
    if not is_author_proven(mail.headers, mail.author, settings.authserv_id):
        return "nothing proves that its author wrote it"
    return None
