"""Asks whether the program's callback can be reached."""

from __future__ import annotations

import asyncio

from sigil.channels.base import Check
from sigil.http.transport import make_http_client

ANSWER_WITHIN_S = 30.0


async def probe_callback(url: str) -> Check:
    """Whether something answers at the callback, whatever it answers. Nothing is changed there."""
    import httpx2

    client = await asyncio.to_thread(make_http_client, ANSWER_WITHIN_S)
    try:
        async with client, client.stream("OPTIONS", url) as response:
            status = response.status_code
    except httpx2.TransportError as error:
        return Check(
            f"nothing answers at callback_url ({type(error).__name__})",
            ok=False,
            hint="Start the program, or correct callback_url.",
        )
    if 300 <= status < 400:
        return Check(
            f"callback_url answers {status}, a redirect",
            ok=False,
            hint="Redirects are not followed. Set callback_url to the final address.",
        )
    return Check(f"callback_url answers ({status})", ok=True)
