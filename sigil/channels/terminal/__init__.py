"""`sigil chat`."""
