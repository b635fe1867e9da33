"""When, and where, the vendors' SDKs are imported."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import asyncio, sys, threading
from sigil.providers import ChatRequest, Message
from sigil.providers.anthropic import AnthropicProvider
from sigil.providers.google import GoogleProvider
from sigil.providers.openai import OpenAIProvider

for provider_class in (AnthropicProvider, GoogleProvider, OpenAIProvider):
    provider_class(api_key="k")
    early = {"anthropic", "openai", "google.genai", "httpx2"} & set(sys.modules)
    assert not early, (provider_class, early)

class Spy:
    threads = {}
    def find_spec(self, name, *_):
        self.threads.setdefault(name, threading.current_thread())

async def main():
    sys.meta_path.insert(0, Spy())
    provider = AnthropicProvider(base_url="http://127.0.0.1:1")
    for stream in (True, False):
        async for _ in provider.chat(ChatRequest("m", [Message("user", "x")], stream=stream)):
            pass
    await provider.aclose()

asyncio.run(main())
for name in ("anthropic", "httpx2"):
    assert Spy.threads[name] is not threading.main_thread(), name
"""


def test_an_sdk_is_imported_for_the_first_call_and_beside_the_loop() -> None:
    """One interpreter for both, since a new one takes most of the time."""
    subprocess.run([sys.executable, "-c", CODE], check=True)
