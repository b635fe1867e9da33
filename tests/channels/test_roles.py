"""Each role loads only its side of a channel, and no role needs a platform's library for a spec."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.channels.one_role import CHATS
from tests.workers.stack import ROOT

CONFIG = """
data_dir: {folder}/data
redis: {{ url: "{url}", prefix: "{prefix}:" }}
channels:
  telegram:
    token: "${{TOKEN}}"
    base_url: http://127.0.0.1:1
    pairing: open
    coalesce: false
  matrix:
    homeserver: http://127.0.0.1:1
    user_id: "@bot:hs"
    access_token: "${{TOKEN}}"
    pairing: open
    coalesce: false
  email:
    address: bot@example.net
    password: "${{TOKEN}}"
    imap: {{ host: 127.0.0.1, port: 1, tls: none }}
    smtp: {{ host: 127.0.0.1, port: 1, tls: none }}
    authserv_id: mx.example.net
    pairing: open
  hook:
    type: webhook
    secret: "${{TOKEN}}"
    callback_url: http://127.0.0.1:1/
    pairing: open
"""
FOLDER = re.compile(r"sigil\.channels\.(telegram|matrix|email|webhook)(?:\.(\w+))?")
KINDS = {kind for kind, _ in CHATS}


def run_role(role: str, config: Path, lanes: Sequence[str] = ()) -> tuple[list[str], set[str]]:
    """The lanes that a process of this role woke, and the modules that it has loaded."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.channels.one_role", role, str(config), *lanes],
        cwd=ROOT,
        env=os.environ | {"SIGIL_CONFIG": str(config)},  # for Celery, which reads it by itself
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found["lanes"], set(found["modules"])


def list_parts(modules: set[str], kind: str) -> set[str]:
    """What of the folder of a channel is loaded."""
    matches = [match for name in modules if (match := FOLDER.fullmatch(name))]
    return {match[2] for match in matches if match[1] == kind and match[2]}


@pytest.mark.slow
@pytest.mark.valkey
def test_each_role_loads_its_side_only(valkey_url: str, tmp_path: Path) -> None:
    """A message from each channel goes through a process of each role."""
    config = tmp_path / "sigil.yaml"
    names = {"folder": tmp_path, "url": valkey_url, "prefix": uuid.uuid4().hex}
    config.write_text(CONFIG.format(**names))

    lanes, gateway = run_role("gateway", config)
    assert len(lanes) == len(CHATS)
    for kind in KINDS:
        assert "listener" in list_parts(gateway, kind)
        assert "sender" not in list_parts(gateway, kind)
    assert "aiosmtplib" not in gateway

    for role in ("routing", "agent"):
        lanes, loaded = run_role(role, config, lanes)
        assert lanes
        for kind in KINDS:
            assert list_parts(loaded, kind) == {"spec", "settings"}
        assert not loaded & {"imapclient", "aiosmtplib"}

    assert len(lanes) >= len(CHATS)
    _, outbound = run_role("outbound", config, lanes)
    for kind in KINDS:
        assert "sender" in list_parts(outbound, kind)
        assert "listener" not in list_parts(outbound, kind)
