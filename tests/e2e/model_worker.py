"""A process that calls models as a turn does: one call for each line on its standard input,
answered by one line of JSON. Its argument is the configuration."""

import asyncio
import json
import sys
from pathlib import Path

from sigil.bootstrap import make_registry
from sigil.config import load_settings
from sigil.messages.conversation import Message
from sigil.providers.base import ChatRequest, EventType
from sigil.providers.model_request import ModelRequest
from sigil.providers.registry import ProviderRegistry
from sigil.stores import connect


async def call(models: ProviderRegistry, session: str) -> dict[str, object]:
    chain = models.chain(ModelRequest())
    request = ChatRequest("", [Message("user", "Hello")], session=session)
    text, error = "", None
    async for event in chain.chat(request):
        if event.type is EventType.RESTART:
            text = ""
        text += event.text
        error = error or event.error
    attempts = [(attempt.model, attempt.answered, attempt.key) for attempt in chain.attempts]
    return {"text": text, "error": error and str(error), "attempts": attempts}


async def main(config: Path) -> None:
    settings = load_settings(config, role="agent")
    assert settings.redis.url is not None
    stores = connect(settings.redis.url.get_secret_value(), prefix=settings.redis.prefix)
    models = make_registry(settings, None, stores)
    print("ready", flush=True)
    while session := (await asyncio.to_thread(sys.stdin.readline)).strip():
        print(json.dumps(await call(models, session)), flush=True)
    await models.aclose()
    await stores.backend.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
