"""`sigil notify`."""

import json

import pytest
import redis


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
