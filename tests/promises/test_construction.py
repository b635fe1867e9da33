"""What users can make without an event loop or a server, with which defaults, and its errors."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sigil.bootstrap import build
from sigil.channels import ChannelRouter
from sigil.config import Settings
from sigil.errors import ConfigError, NotAMember, SigilError, StoreError, UserNotFound
from sigil.gateway import Gateway
from sigil.messages import OutboundMessage
from sigil.providers import Budget, ChatRequest, Message, ModelRequest, ProviderRegistry
from sigil.stores import Stores, connect
from sigil.testing import fake_stores
from sigil.workspace import WorkspaceConfig, WorkspaceManager


def test_construction_needs_no_loop_and_no_server(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    assert isinstance(fake_stores(), Stores)
    assert isinstance(connect("redis://127.0.0.1:1/0"), Stores)
    assert isinstance(build(Settings(data_dir=tmp_path), stores=fake_stores()), Gateway)
    WorkspaceManager(fake_stores())
    ChannelRouter()
    ProviderRegistry()


def test_every_field_that_can_have_a_default_has_one() -> None:
    assert ModelRequest().exclude == ()
    assert Budget().max_session_tokens is None
    assert WorkspaceConfig(members=["sean"]).bindings is not None
    out = OutboundMessage(channel_type="telegram", channel_id="1", content="x")
    assert (out.thread_id, out.media) == (None, ())
    request = ChatRequest(model="m", messages=[Message(role="user", content="Hello")])
    assert (request.system_prompt, request.tools, request.max_tokens) == (None, (), 1024)
    assert (request.temperature, request.stream) == (None, True)


def test_every_error_has_a_code_and_says_whether_it_is_transient() -> None:
    for error in (NotAMember("x"), UserNotFound("x"), ConfigError("x"), StoreError("x")):
        assert isinstance(error, SigilError)
        assert "." in error.code
        assert isinstance(error.transient, bool)
