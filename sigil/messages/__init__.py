"""Messages: what people exchange with Sigil, and what a model sees.

exchange   between platforms and Sigil       conversation   between Sigil and a model
"""

from sigil.messages.exchange import (
    MAX_ATTACHMENTS,
    MAX_CONTENT_BYTES,
    MAX_ID_BYTES,
    MAX_NAME_BYTES,
    MAX_REPLY_BYTES,
    MAX_URL_BYTES,
    Action,
    AnswerDetails,
    Attachment,
    InboundMessage,
    MessageStore,
    OutboundMessage,
    clean,
    fit_reply,
)

__all__ = [
    "MAX_ATTACHMENTS",
    "MAX_CONTENT_BYTES",
    "MAX_ID_BYTES",
    "MAX_NAME_BYTES",
    "MAX_REPLY_BYTES",
    "MAX_URL_BYTES",
    "Action",
    "AnswerDetails",
    "Attachment",
    "InboundMessage",
    "MessageStore",
    "OutboundMessage",
    "clean",
    "fit_reply",
]
