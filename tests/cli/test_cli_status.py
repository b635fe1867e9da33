"""`sigil status`, `send` and `notify`."""

import json

import pytest
import redis

from sigil.cli.status import with_open


def test_status_shows_the_days_newest_first(call, fake_redis):
    code, out, _ = call("status")
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert rows == [
        ["day", "accepted", "answered", "refused", "stopped", "dead", "open", "duplicate"],
        ["2026-11-22", "10", "5", "2", "1", "0", "2", "1"],
        ["2026-11-21", "1", "1", "0", "0", "0", "0", "0"],
    ]


def test_status_verify_fails_if_it_does_not_balance(call, fake_redis):
    code, out, _ = call("status", "--verify")
    assert code == 0
    assert "it balances" in out
    fake_redis.lanes.balanced = False
    code, out, _ = call("status", "--verify")
    assert code == 1
    assert "one is lost" in out
    code, out, _ = call("status", "--verify", "--json")
    assert code == 1
    assert json.loads(out)["verify"]["balanced"] is False
    assert json.loads(out)["days"]["2026-11-22"]["open"] == 2


def test_open_is_what_has_not_ended():
    assert with_open({})["open"] == 0
    assert with_open({"accepted": 3, "answered": 1, "dead": 1})["open"] == 1


def test_without_redis_the_next_step_is_said(call, monkeypatch):
    code, _, err = call("status")
    assert code == 1
    assert "`sigil up`" in err
    monkeypatch.setenv("SIGIL_REDIS__URL", "redis://:hide-me@127.0.0.1:1/0")
    code, _, err = call("status")
    assert code == 1
    assert "sigil doctor" in err
    assert "hide-me" not in err


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
def test_notify_is_put_on_its_way(call, real_redis):
    code, out, err = call("notify", "web", "chat-1", "hello", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["id"]


@pytest.mark.valkey
def test_a_long_notice_is_taken_whole(call, real_redis, valkey_url):
    text = "word " * 30_000
    code, out, _ = call("notify", "web", "chat-1", "-", "--json", stdin=text.encode())
    assert code == 0
    with redis.Redis.from_url(valkey_url) as client:
        body = client.hget(next(client.scan_iter(f"*{json.loads(out)['id']}*")), "body")
    assert json.loads(body)["content"] == text


@pytest.mark.valkey
def test_bad_messages_are_refused_before_anything_is_kept(call, real_redis):
    for words, stdin, expected in (
        (("send", "--as", "owner", "x" * 70_000), None, "at most 65536 are taken"),
        (("send", "--as", "owner", "-"), b"\xff\xfe", "not valid UTF-8"),
        (("send", "--as", "owner", ""), None, "content is empty"),
        (("send", "--as", "owner", "-"), b"x" * 1_000_000, "at most 65536 are taken"),
        (("send", "--as", "ownr", "x"), None, "did you mean 'owner'?"),
        (("send", "--as", "owner", "--channel", "telegram", "x"), None, "has no identity in the"),
        (("send", "--as", "owner", "--chat", "y" * 300, "x"), None, "at most 256"),
        (("notify", "telegram", "1", "x"), None, "no channel 'telegram' is configured"),
        (("notify", "wbe", "1", "x"), None, "did you mean 'web'?"),
        (("notify", "web", "1", ""), None, "content is empty"),
        (("notify", "web", "1", "-"), b"x" * 2_000_000, "at most 1048576 are taken"),
    ):
        code, out, err = call(*words, stdin=stdin)
        assert (code, out) == (1, "")
        assert expected in err
    assert call("status")[1] == "Nothing was accepted yet.\n"
