"""A real Synapse on loopback: SQLite, no federation, no rate limits.

It has an environment of its own, since it needs versions that Sigil does not use: `make synapse`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
PYTHON = Path(__file__).parent / ".venv/bin/python"
_SECRET = "registration"
_STARTS_WITHIN = 45.0  # seconds; it takes 5 on an idle machine


@dataclass(frozen=True)
class Person:
    """A user of the server, logged in."""

    address: str
    user_id: str
    password: str
    token: str

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Calls the client API. Raises `urllib.error.HTTPError`."""
        return _request(method, f"{self.address}/_matrix/client/v3{path}", body, self.token)

    def create_room(self, *invited: str, **more: Any) -> str:
        """Creates a private room and returns its id."""
        body = {"preset": "private_chat", "invite": list(invited), **more}
        return str(self.call("POST", "/createRoom", body)["room_id"])

    def join(self, room: str) -> None:
        self.call("POST", f"/join/{_quote(room)}", {})

    def send(self, room: str, content: Json, kind: str = "m.room.message") -> str:
        """Sends an event and returns its id."""
        path = f"/rooms/{_quote(room)}/send/{kind}/{secrets.token_hex(8)}"
        return str(self.call("PUT", path, content)["event_id"])

    def say(self, room: str, text: str, **more: Any) -> str:
        return self.send(room, {"msgtype": "m.text", "body": text, **more})

    def upload(self, data: bytes, mime_type: str, name: str) -> str:
        """Uploads a file and returns its `mxc://` address."""
        url = f"{self.address}/_matrix/media/v3/upload?filename={_quote(name)}"
        return str(_request("POST", url, data, self.token, mime_type)["content_uri"])

    def download(self, mxc: str) -> bytes:
        path = mxc.removeprefix("mxc://")
        request = urllib.request.Request(
            f"{self.address}/_matrix/client/v1/media/download/{path}",
            headers={"authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            data: bytes = answer.read()
            return data

    def read(self, room: str) -> list[Json]:
        """The last 100 events of a room, oldest first."""
        found = self.call("GET", f"/rooms/{_quote(room)}/messages?dir=b&limit=100")
        return list(reversed(found["chunk"]))

    def members(self, room: str) -> set[str]:
        """Who has joined."""
        return set(self.call("GET", f"/rooms/{_quote(room)}/joined_members")["joined"])


@dataclass(frozen=True)
class Synapse:
    """The running server."""

    address: str

    def add_person(self, name: str) -> Person:
        """Registers a user under a name that nobody has yet, and logs in."""
        name, password = f"{name}-{secrets.token_hex(3)}", secrets.token_hex(8)
        url = f"{self.address}/_synapse/admin/v1/register"
        nonce = str(_request("GET", url, None)["nonce"])
        signed = "\0".join((nonce, name, password, "notadmin")).encode()
        made = _request(
            "POST",
            url,
            {
                "nonce": nonce,
                "username": name,
                "password": password,
                "admin": False,
                "mac": hmac.new(_SECRET.encode(), signed, hashlib.sha1).hexdigest(),
            },
        )
        return Person(self.address, str(made["user_id"]), password, str(made["access_token"]))


@contextmanager
def run_synapse() -> Iterator[Synapse]:
    """Starts a server with an empty database in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="sigil-synapse-"))
    port = _find_port()
    (folder / "homeserver.yaml").write_text(json.dumps(_configure(folder, port)))
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [PYTHON, "-m", "synapse.app.homeserver", "-c", folder / "homeserver.yaml"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait_for(process, f"http://127.0.0.1:{port}/health", folder / "log")
        yield Synapse(f"http://127.0.0.1:{port}")
    finally:
        process.kill()  # nobody needs its database any more
        process.wait(10)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path, port: int) -> Json:
    """JSON is YAML."""
    plenty = {"per_second": 10_000, "burst_count": 10_000}
    return {
        "server_name": "localhost",
        "listeners": [
            {
                "type": "http",
                "port": port,
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["client"]}],
            }
        ],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "registration_shared_secret": _SECRET,
        "macaroon_secret_key": "macaroon",
        "form_secret": "form",
        "report_stats": False,
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "presence": {"enabled": False},
        "rc_message": plenty,
        "rc_registration": plenty,
        "rc_joins": {"local": plenty, "remote": plenty},
        "rc_invites": {"per_room": plenty, "per_user": plenty, "per_issuer": plenty},
        "rc_login": {"address": plenty, "account": plenty, "failed_attempts": plenty},
        "rc_room_creation": plenty,
    }


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"Synapse did not start: {log.read_text(errors='replace')[-4000:]}")


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _request(
    method: str,
    url: str,
    body: Json | bytes | None,
    token: str | None = None,
    mime_type: str = "application/json",
) -> Json:
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    headers = {"content-type": mime_type}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, method=method, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: Json = json.load(answer)
        return found
