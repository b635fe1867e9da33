"""Files that go out with a mail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sigil.blobs.base import SCHEME, name_owner, read_file
from sigil.channels.email.mail import File
from sigil.errors import SendFailed, SigilError, StoreError

if TYPE_CHECKING:
    from sigil.channels.base import AccountContext
    from sigil.messages.exchange import Attachment


async def load_files(
    context: AccountContext, media: Sequence[Attachment]
) -> tuple[list[File], list[str]]:
    """The files that are kept, and a line about each of the others. Raises `SendFailed`."""
    files: list[File] = []
    notes: list[str] = []
    for each in media:
        if not each.url.startswith(SCHEME):
            notes.append(f"{each.name}: {each.url}")
            continue
        try:
            owner = name_owner(context.channel_type, context.account)
            data = await read_file(context.stores.blobs, each, owner)
        except StoreError as error:
            raise SendFailed("the files of the reply cannot be read.") from error
        except SigilError:
            notes.append(f"[The file {each.name} is not kept any more.]")
        else:
            files.append(File(each.name, each.mime_type, data))
    return files, notes
