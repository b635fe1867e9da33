"""A mailbox's account, and mails as they came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sigil.channels.email.settings import EmailSettings

PAYLOADS = Path(__file__).parent / "payloads"
ADDRESS = "bot@bot.example"


def read_payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.eml").read_bytes()


def make_settings(**more: Any) -> EmailSettings:
    fields = {
        "address": ADDRESS,
        "password": "a made-up password",
        "imap": {"host": "127.0.0.1", "port": 1, "tls": "none"},
        "smtp": {"host": "127.0.0.1", "port": 1, "tls": "none"},
        "authserv_id": "mx.example.net",
    }
    return EmailSettings.model_validate({**fields, **more})
