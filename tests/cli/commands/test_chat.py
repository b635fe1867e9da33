"""`sigil chat`: which gateway it talks to, and with which token."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "environ", "expected"),
    [
        (["hi"], {}, ("http://127.0.0.1:8787", None, None, "hi")),
        (["--as", "sean"], {}, ("http://127.0.0.1:8787", "seans", "sean", None)),
        (["--token", "t"], {}, ("http://127.0.0.1:8787", "t", None, None)),
        (
            ["--as", "bob"],
            {"SIGIL_GATEWAY__HOST": "::", "SIGIL_GATEWAY__TOKEN": "own"},
            ("http://[::1]:8787", "own", "bob", None),
        ),
        (["--url", "http://other:1"], {}, ("http://other:1", None, None, None)),
    ],
)
def test_chat_goes_to_the_configured_gateway(call, monkeypatch, words, environ, expected):
    Path("sigil.yaml").write_text("users: {sean: {role: owner, token: seans}, bob: {}}")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    seen = []
    monkeypatch.setattr(
        "sigil.cli.conversation.run_chat", lambda *given, as_json: seen.append(given)
    )
    assert call("chat", *words)[0] == 0
    assert seen == [expected]


def test_the_configured_token_goes_to_the_configured_gateway_alone(call, monkeypatch):
    Path("sigil.yaml").write_text("gateway: {token: mine}")
    seen = []
    monkeypatch.setattr(
        "sigil.cli.conversation.run_chat", lambda *given, as_json: seen.append(given)
    )
    call("chat", "--url", "http://other:1")
    call("chat")
    assert [token for _, token, *_ in seen] == [None, "mine"]


def test_json_is_for_one_answer(call):
    code, _, err = call("chat", "--json")
    assert code == 2
    assert "needs a text" in err
