"""The chat API: messages in, the event log of a chat out."""
