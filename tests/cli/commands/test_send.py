"""`sigil send`, and what both it and `sigil notify` refuse."""

import json

import pytest


@pytest.mark.valkey
def test_send_is_accepted_and_counted(call, real_redis):
    code, first, err = call("send", "--as", "owner", "hello")
    assert (code, err) == (0, "")
    assert first.strip()
    code, out, _ = call("send", "--as", "owner", "-", "--json", stdin="from a pipe\n")
    assert code == 0
    assert json.loads(out)["id"] not in {"", first.strip()}
    _, counted, _ = call("status", "--verify", "--json")
    ((_, counts),) = json.loads(counted)["days"].items()
    assert (counts["accepted"], counts["open"]) == (2, 2)


@pytest.mark.valkey
def test_bad_messages_are_refused_before_anything_is_kept(call, real_redis):
    for words, stdin, expected in (
        (("send", "--as", "owner", "x" * 70_000), None, "at most 65536 are allowed"),
        (("send", "--as", "owner", "-"), b"\xff\xfe", "not valid UTF-8"),
        (("send", "--as", "owner", ""), None, "content is empty"),
        (("send", "--as", "owner", "-"), b"x" * 1_000_000, "at most 65536 are allowed"),
        (("send", "--as", "ownr", "x"), None, "did you mean 'owner'?"),
        (("send", "--as", "owner", "--channel", "telegram", "x"), None, "no channel named"),
        (("send", "--as", "owner", "--chat", "y" * 300, "x"), None, "at most 256"),
        (("notify", "telegram", "1", "x"), None, "no channel 'telegram' is configured"),
        (("notify", "wbe", "1", "x"), None, "did you mean 'web'?"),
        (("notify", "web", "1", ""), None, "content is empty"),
        (("notify", "web", "1", "-"), b"x" * 2_000_000, "at most 1048576 are allowed"),
    ):
        code, out, err = call(*words, stdin=stdin)
        assert (code, out) == (1, "")
        assert expected in err
    assert "Nothing was accepted yet.\n" in call("status")[1]
