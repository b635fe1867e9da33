"""Keeps what uvicorn logs short, whoever sends requests to it and however many."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

_EVERY_S = 60.0
# What it advises would be wrong: WebSockets are switched off.
_ADVICE = "No supported WebSocket library detected."


def calm_server_logs() -> None:
    """Puts the filter on uvicorn's logger, once."""
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(each, CalmFilter) for each in logger.filters):
        logger.addFilter(CalmFilter())


class CalmFilter(logging.Filter):
    """Passes each warning once a minute, with how often it came since. A warning is about what a
    client has sent, malformed or not supported, so without this anybody could fill the disk.

    Drops the traceback of each request that the end of the process cuts off: nothing is wrong
    with it, and uvicorn logs how many there were.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed_at: dict[str, float] = {}
        self._held_back: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged; adds the count to its text."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False
        if record.levelno != logging.WARNING:
            return True
        text = str(record.msg)
        if text.startswith(_ADVICE):
            return False
        now = time.monotonic()
        if now - self._passed_at.get(text, -_EVERY_S) < _EVERY_S:
            self._held_back[text] += 1
            return False
        self._passed_at[text] = now
        if held_back := self._held_back.pop(text, 0):
            record.msg = f"{text} ({held_back} more since the last line)"
        return True
