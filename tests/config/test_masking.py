"""Which names are those of secrets, and what is masked."""

import pytest

from sigil.config.masking import MASK, find_secrets, mask_settings, mask_urls
from sigil.config.secret_names import looks_secret


@pytest.mark.parametrize(
    "name", ["token", "bot_token", "botToken", "API_KEY", "apiKey", "password", "x-auth-key"]
)
def test_secret_names(name):
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["tokens", "max_tokens", "lane_key", "key", "monkey", "passage"])
def test_harmless_names(name):
    assert not looks_secret(name)


def test_passwords_and_tokens_in_urls_are_masked():
    text = "see https://u:pw@h/x?page=2&access_token=abc#top"
    assert mask_urls(text) == f"see https://{MASK}@h/x?page=2&access_token={MASK}#top"


def test_secrets_are_found_by_their_type_their_name_and_their_place(load):
    found = load(
        """
        gateway: {token: by-type}
        redis: {url: "redis://user:by%2Fplace@h/0"}
        channels: {telegram: {type: memory, options: {bot_token: by-name, retries: 3}}}
        """
    )
    secrets = find_secrets(found)
    assert {"by-type", "by-name", "by%2Fplace", "by/place"} <= secrets
    assert "3" not in secrets
    shown = mask_settings(found)
    assert shown["redis"]["url"] == f"redis://{MASK}@h/0"
    assert shown["channels"]["telegram"]["options"] == {"bot_token": MASK, "retries": 3}
