"""Renders each text once, however many readers watch it, and keeps the HTML for a while.

reader ─┐
reader ─┼─▶ render ─▶ kept? ─▶ on its way? ─▶ markdown.render_part, in one of two threads
reader ─┘
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from sigil.channels.render.commonmark import split
from sigil.web.chat.markdown import MAX_CHARS, PART_CHARS, render_part, render_plain

MOST_KEPT_CHARS = 8_000_000
# Rendering a longer text would hold up the event loop, so it is done in a thread.
_RENDER_APART_CHARS = 4_000
_THREADS = 2


class HtmlCache:
    """The HTML of the texts that were shown last, at most `most_chars` of it (text and HTML
    counted together). An answer that grows beyond one part has only its last part rendered anew."""

    def __init__(self, most_chars: int = MOST_KEPT_CHARS) -> None:
        self._most_chars = most_chars
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._chars = 0
        self._rendering: dict[str, asyncio.Task[str]] = {}
        self._threads = asyncio.Semaphore(_THREADS)

    async def render(self, text: str) -> str:
        """The same as `render_markdown`."""
        if len(text) > MAX_CHARS:
            return render_plain(text)
        return "".join([await self._render_part(part) for part in split(text, PART_CHARS)])

    async def _render_part(self, text: str) -> str:
        kept = self._kept.get(text)
        if kept is not None:
            self._kept.move_to_end(text)
            return kept
        if len(text) < _RENDER_APART_CHARS:
            return self._keep(text, render_part(text))
        task = self._rendering.get(text)
        if task is None:
            task = self._rendering[text] = asyncio.create_task(self._render_apart(text))
            task.add_done_callback(lambda _: self._rendering.pop(text, None))
        # A reader that leaves ends its own wait, not the work that others may wait for.
        return await asyncio.shield(task)

    async def _render_apart(self, text: str) -> str:
        async with self._threads:
            return self._keep(text, await asyncio.to_thread(render_part, text))

    def _keep(self, text: str, html: str) -> str:
        self._kept[text] = html
        self._chars += len(text) + len(html)
        while self._chars > self._most_chars:
            old_text, old_html = self._kept.popitem(last=False)
            self._chars -= len(old_text) + len(old_html)
        return html
