"""Telegram under faults: real processes between a strict server's people and its bot."""
