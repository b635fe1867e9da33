"""Wake-ups: cheap, never blocking, never failing, and there again after an outage."""

import asyncio
import base64
import json
import signal
import socket
import time
import uuid

import pytest
import redis
from kombu import Connection, Producer

from sigil.config.redis_urls import to_broker_url
from sigil.errors import StoreError
from sigil.lanes.effects import Stage
from sigil.lanes.fleet import WOKEN_STAGES
from tests.workers.stack import Stack, wait_until
from workers.broker import transport_options
from workers.publisher import Publisher, wakeups
from workers.wakeup import build_message, encode_message

OPTIONS = {"socket_timeout": 15, "socket_connect_timeout": 5}


@pytest.fixture
def options() -> dict[str, object]:
    return OPTIONS | {"global_keyprefix": f"test-{uuid.uuid4().hex}:"}


def wakeups_in(url: str, options: dict[str, object], queue: str) -> list[list[str]]:
    """The lanes of each wake-up in a queue, oldest first."""
    with redis.Redis.from_url(url) as client:
        raw = client.lrange(f"{options['global_keyprefix']}{queue}", 0, -1)
    found = []
    for message in map(json.loads, reversed(raw)):
        body = json.loads(base64.b64decode(message["body"]))
        found.append([*body[0], *message["headers"].get("more_lanes", [])])
    return found


def waiting(url: str, options: dict[str, object], queue: str) -> list[str]:
    """The lanes in a queue, oldest first."""
    return [lane for lanes in wakeups_in(url, options, queue) for lane in lanes]


def take(url: str, options: dict[str, object], queue: str, count: int) -> None:
    """As workers do."""
    with redis.Redis.from_url(url) as client:
        client.rpop(f"{options['global_keyprefix']}{queue}", count)


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
def test_a_message_is_what_kombu_would_have_written(valkey_url: str, options):
    """Celery's consumer reads it with the transport's eyes."""
    body, headers = build_message("sigil.turn", ["session:any:a", "session:any:b"])
    with Connection(to_broker_url(valkey_url), transport_options=options) as connection:
        producer = Producer(connection.channel(), auto_declare=False, serializer="json")
        producer.publish(
            body,
            exchange="",
            routing_key="sigil.agent",
            headers=headers,
            correlation_id=headers["id"],
            reply_to="",
        )
    with redis.Redis.from_url(valkey_url) as client:
        theirs = json.loads(client.rpop(f"{options['global_keyprefix']}sigil.agent"))
    ours = json.loads(encode_message("sigil.agent", body, headers))
    for message in (ours, theirs):
        del message["properties"]["delivery_tag"]
        message["body"] = json.loads(base64.b64decode(message["body"]))
    assert ours == theirs


@pytest.mark.valkey
def test_a_lane_of_a_newer_version_does_not_hold_up_the_others(valkey_url: str, options):
    publisher = Publisher(to_broker_url(valkey_url), options)
    publisher.wake("tool:any:a")
    publisher.wake_again(["session:any:b", "tool:any:c", "", "delivery:web:d"], together=1)
    publisher.close()
    assert waiting(valkey_url, options, "sigil.agent") == ["session:any:b"]
    assert waiting(valkey_url, options, "sigil.outbound") == ["delivery:web:d"]
    assert (publisher.sent, publisher.dropped) == (2, 3)


@pytest.mark.valkey
def test_closing_sends_all_that_there_is_room_for(valkey_url: str, options):
    publisher = Publisher(to_broker_url(valkey_url), options)
    publisher.lanes_per_wakeup = 32
    lanes = [f"session:any:{number}" for number in range(2000)]
    for lane in lanes:
        publisher.wake(lane)
    publisher.close(within=20)
    assert waiting(valkey_url, options, "sigil.agent") == lanes
    assert publisher.sent == 2000


@pytest.mark.valkey
async def test_what_waits_together_is_sent_together_up_to_what_workers_understand(
    valkey_url: str, options
):
    publisher = Publisher(to_broker_url(valkey_url), options)
    publisher.lanes_per_wakeup = 3
    lanes = [f"session:any:{number}" for number in range(7)]
    queue = f"{options['global_keyprefix']}sigil.agent"
    with redis.Redis.from_url(valkey_url) as client:
        client.lpush(queue, *["{}"] * 65)
        for lane in lanes:
            publisher.wake(lane)
        others = [f"session:any:x{number}" for number in range(4)]
        publisher.wake_again(others, together=2)  # a worker had only two slots
        async with asyncio.timeout(5):
            while await publisher.backlog(Stage.TURN) != 65 + 11:
                await asyncio.sleep(0.01)
        client.delete(queue)
    wait_until(lambda: publisher.sent == 11, within=5)
    first, second, third, *rest = wakeups_in(valkey_url, options, "sigil.agent")
    assert (first, second, third) == (lanes[:3], lanes[3:6], [lanes[6], others[0]])
    assert rest == [others[1:3], others[3:]]
    publisher.wake("session:any:alone")
    publisher.close()
    assert wakeups_in(valkey_url, options, "sigil.agent")[-1] == ["session:any:alone"]


@pytest.mark.valkey
async def test_a_queue_stays_short_and_is_filled_up_as_soon_as_there_is_room(
    valkey_url: str, options
):
    """Two processes send; the workers of that stage are busy, those of another one are not."""
    first, second = (Publisher(to_broker_url(valkey_url), options) for _ in range(2))
    for number in range(500):
        first.wake(f"session:any:a{number}")
        second.wake(f"session:any:b{number}")
    wait_until(lambda: first.sent + second.sent == 65, within=5)
    assert await first.backlog(Stage.TURN) > 64
    second.wake("delivery:web:c")
    wait_until(lambda: waiting(valkey_url, options, "sigil.outbound") != [], within=5)
    for expected in range(65 + 40, 65 + 40 * 5, 40):
        take(valkey_url, options, "sigil.agent", 40)
        wait_until(lambda e=expected: first.sent + second.sent >= e, within=5)
        assert len(wakeups_in(valkey_url, options, "sigil.agent")) == 65
    assert await first.backlog(Stage.DELIVER) == 1
    for publisher in (first, second):
        publisher.close()
    assert first.dropped + second.dropped + first.sent + second.sent == 1001


@pytest.mark.valkey
def test_closing_does_not_wait_for_room(valkey_url: str, options):
    publisher = Publisher(to_broker_url(valkey_url), options)
    for number in range(100):
        publisher.wake(f"session:any:{number}")
    began = time.monotonic()
    publisher.close(within=20)
    assert time.monotonic() - began < 5
    assert (publisher.sent, publisher.dropped) == (65, 35)


async def test_what_cannot_be_counted_is_an_error():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        publisher = Publisher(f"redis://127.0.0.1:{closed.getsockname()[1]}/0", {})
        asked = map(publisher.backlog, WOKEN_STAGES)
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreError] * 3
    publisher.close()
    with pytest.raises(StoreError):
        await publisher.backlog(Stage.TURN)


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
    # At most 65 are in the thread's hands, and 100 wait.
    assert 835 <= publisher.dropped <= 900


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
    publisher.lanes_per_wakeup = 32
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
