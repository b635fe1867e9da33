"""Wake-ups: cheap, never blocking, never failing, and there again after an outage."""

import json
import signal
import socket
import time
import uuid

import pytest
import redis

from sigil.config.redis_urls import to_broker_url
from tests.workers.stack import Stack, wait_until
from workers.broker import transport_options
from workers.publisher import Publisher, wakeups

OPTIONS = {"socket_timeout": 15, "socket_connect_timeout": 5}


@pytest.fixture
def options() -> dict[str, object]:
    return OPTIONS | {"global_keyprefix": f"test-{uuid.uuid4().hex}:"}


def waiting(url: str, options: dict[str, object], queue: str) -> list[str]:
    """The lanes in a queue, oldest first."""
    import base64

    with redis.Redis.from_url(url) as client:
        raw = client.lrange(f"{options['global_keyprefix']}{queue}", 0, -1)
    bodies = [json.loads(base64.b64decode(json.loads(each)["body"])) for each in raw]
    return [body[0][0] for body in reversed(bodies)]


@pytest.mark.valkey
def test_each_lane_goes_to_its_queue(valkey_url: str, options):
    publisher = Publisher(to_broker_url(valkey_url), options)
    for lane in ("inbound:web:a", "session:any:b", "delivery:web:c", "session:any:d"):
        publisher.wake(lane)
    publisher.close()
    assert waiting(valkey_url, options, "sigil.routing") == ["inbound:web:a"]
    assert waiting(valkey_url, options, "sigil.agent") == ["session:any:b", "session:any:d"]
    assert waiting(valkey_url, options, "sigil.outbound") == ["delivery:web:c"]
    assert (publisher.sent, publisher.dropped) == (4, 0)


@pytest.mark.valkey
def test_closing_sends_all_that_waits(valkey_url: str, options):
    publisher = Publisher(to_broker_url(valkey_url), options)
    lanes = [f"session:any:{number}" for number in range(2000)]
    for lane in lanes:
        publisher.wake(lane)
    publisher.close(within=20)
    assert waiting(valkey_url, options, "sigil.agent") == lanes


def test_closing_what_was_never_used_returns_at_once():
    publisher = Publisher("redis://127.0.0.1:1/0", {})
    publisher.close()
    publisher.wake("session:any:late")
    assert publisher.dropped == 1


def test_a_broker_that_never_answers_holds_nobody_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        publisher = Publisher(
            f"redis://127.0.0.1:{silent.getsockname()[1]}/0", {"socket_timeout": 60}, limit=100
        )
        began = time.monotonic()
        for number in range(1000):
            publisher.wake(f"session:any:{number}")
        took = time.monotonic() - began
        publisher.close(within=0.1)
    assert took < 1
    assert publisher.sent == 0
    # At most a batch is in the thread's hands, and 100 wait.
    assert 300 <= publisher.dropped <= 900


def test_a_broker_that_is_down_costs_the_wake_ups_only():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        publisher = Publisher(f"redis://127.0.0.1:{closed.getsockname()[1]}/0", {})
        publisher.wake("session:any:a")
        wait_until(lambda: publisher.dropped == 1, within=20)
        publisher.close()


@pytest.mark.valkey
def test_it_sends_again_after_the_broker_was_killed(stack: Stack):
    publisher = wakeups(stack.settings)
    options = transport_options(stack.settings)
    publisher.wake("session:any:before")
    wait_until(lambda: publisher.sent == 1, within=10)
    stack.restart_valkey(down_s=0)

    def arrived() -> bool:
        publisher.wake("session:any:after")
        return "session:any:after" in waiting(stack.valkey.url, options, "sigil.agent")

    wait_until(arrived, within=15)
    publisher.close()


@pytest.mark.valkey
def test_it_goes_on_after_the_broker_was_frozen(stack: Stack):
    publisher = wakeups(stack.settings)
    publisher.wake("session:any:before")
    wait_until(lambda: publisher.sent == 1, within=10)
    stack.valkey.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    for number in range(500):
        publisher.wake(f"session:any:{number}")
    took = time.monotonic() - began
    stack.valkey.process.send_signal(signal.SIGCONT)
    assert took < 1
    wait_until(lambda: publisher.sent == 501, within=15)
    publisher.close()
