"""The models that are built in, and those that Google lists."""

from __future__ import annotations

from sigil.providers.google import GoogleProvider
from tests.providers.google.calls import collect_events
from tests.providers.google.replies import answer
from tests.providers.google.server import KEY, GoogleServer
from tests.providers.loopback import Json, status


async def test_the_catalogue_answers_without_a_network() -> None:
    provider = GoogleProvider(api_key="k")
    assert "gemini-3.8-flash" in {info.id for info in await provider.list_models()}
    assert provider.model_info("models/gemini-2.5-flash").thinking
    assert not provider.model_info("gemma-9").tools


async def test_the_vendor_says_which_models_there_are(
    server: GoogleServer, provider: GoogleProvider
) -> None:
    def model(name: str, *methods: str, **fields: object) -> Json:
        return {"name": f"models/{name}", "supportedGenerationMethods": methods, **fields}

    server.reply = status(
        200,
        {
            "models": [
                model("gemini-9-new", "generateContent", inputTokenLimit=7, outputTokenLimit=5),
                model("gemini-9-tts", "generateContent"),
                model("gemini-2.5-flash", "generateContent", "countTokens", thinking=False),
                model("text-embedding-9", "embedContent"),
                model("../evil", "generateContent"),
                {},
            ]
        },
    )
    found = {info.id: info for info in await provider.refresh_models()}
    assert list(found) == ["gemini-9-new", "gemini-9-tts", "gemini-2.5-flash"]
    new, speech, known = found.values()
    assert (new.tools, new.vision, new.max_context_tokens, new.max_output_tokens) == (
        True,
        True,
        7,
        5,
    )
    assert not speech.tools
    assert (known.tools, known.thinking, known.max_context_tokens) == (True, False, 1_048_576)
    assert provider.model_info("models/gemini-9-new").max_context_tokens == 7
    assert await provider.list_models() == list(found.values())


async def test_a_model_that_cannot_think_is_not_asked_to(server: GoogleServer) -> None:
    provider = GoogleProvider(api_key=KEY, base_url=server.url, thinking="low")
    server.reply = status(
        200,
        {
            "models": [
                {
                    "name": "models/gemini-2.5-flash",
                    "supportedGenerationMethods": ["generateContent"],
                    "thinking": False,
                }
            ]
        },
    )
    await provider.refresh_models()
    server.reply = answer()
    await collect_events(provider, model="gemini-2.5-flash")
    await provider.aclose()
    assert "thinkingConfig" not in server.requests[-1]["generationConfig"]
