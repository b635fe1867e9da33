"""What clients of the chat API send."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

CHAT_ID_PATTERN = r"[A-Za-z0-9_-]{1,64}"


class SendText(BaseModel):
    """A message that a person wrote. `message_id` is the client's own; a retry repeats it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, StringConstraints(min_length=1)]
    message_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
