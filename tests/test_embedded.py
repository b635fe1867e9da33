"""The embedded Valkey: it keeps what it acknowledged, and says clearly why it cannot start."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sigil.errors import ConfigError
from sigil.host import embedded

pytestmark = pytest.mark.valkey


@pytest.fixture
def folder() -> Iterator[Path]:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="sg-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def started() -> Iterator[list[embedded.EmbeddedValkey]]:
    servers: list[embedded.EmbeddedValkey] = []
    yield servers
    for server in servers:
        server.stop()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["data", "my data; ümlaut's", "d" * 120])
def test_it_serves_with_nothing_to_lose_and_for_its_owner_only(folder, started, name):
    data = folder / name
    started.append(embedded.start(data))
    with redis.Redis.from_url(embedded.url(data)) as client:
        for key, value in (
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("save", ""),
            ("maxmemory-policy", "noeviction"),
        ):
            assert client.config_get(key) == {key: value}
    assert mode(data) == mode(data / "valkey") == 0o700
    assert mode(data / "valkey" / "url") == 0o600
    assert mode(data / "logs" / "valkey.log") == 0o600


def test_a_path_too_long_for_a_socket_means_loopback_with_a_password(folder, started):
    started.append(embedded.start(folder / ("d" * 120)))
    url = started[0].url
    assert url.startswith("redis://:")
    assert "@127.0.0.1:" in url
    secret = url.split(":")[2].split("@")[0]
    assert len(secret) > 30
    assert secret not in repr(started[0])
    arguments = Path(f"/proc/{started[0].process.pid}/cmdline")
    if arguments.exists():
        assert secret.encode() not in arguments.read_bytes()
    with (
        redis.Redis.from_url(url.replace(secret, "wrong")) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


@pytest.mark.parametrize("name", ["data", "d" * 120])
def test_what_was_acknowledged_survives_kill_9_at_the_same_address(folder, started, name):
    data = folder / name
    first = embedded.start(data)
    with redis.Redis.from_url(first.url) as client:
        client.set("kept", "yes")
    first.process.kill()
    first.stop()
    started.append(embedded.start(data))
    assert started[0].url == first.url
    with redis.Redis.from_url(started[0].url) as client:
        assert client.get("kept") == b"yes"


def test_a_torn_end_of_the_log_is_cut_off(folder, started):
    first = embedded.start(folder / "data")
    with redis.Redis.from_url(first.url) as client:
        client.set("kept", "yes")
    first.process.kill()
    first.stop()
    (aof,) = (folder / "data" / "valkey" / "appendonlydir").glob("*.incr.aof")
    with aof.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nto")
    started.append(embedded.start(folder / "data"))
    with redis.Redis.from_url(started[0].url) as client:
        assert client.get("kept") == b"yes"


def test_it_is_not_there_before_it_answers_while_loading(folder, started):
    first = embedded.start(folder / "data")
    with redis.Redis.from_url(first.url) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(20_000):
            pipe.set(f"k{number}", "v" * 50)
        pipe.execute()
    first.stop()
    started.append(embedded.start(folder / "data"))
    with redis.Redis.from_url(started[0].url) as client:
        assert client.dbsize() == 20_000


def test_a_server_that_cannot_start_shows_why(folder):
    data = folder / "data"
    embedded.start(data).stop()
    (aof,) = (data / "valkey" / "appendonlydir").glob("*.incr.aof")
    aof.write_bytes(b"this is no append-only file\r\n")
    with pytest.raises(ConfigError, match="did not start") as caught:
        embedded.start(data)
    assert "Bad file format" in str(caught.value)
    # The folder is free again.
    aof.write_bytes(b"")
    embedded.start(data).stop()


def test_a_second_server_on_the_folder_is_refused(folder, started):
    started.append(embedded.start(folder / "data"))
    with pytest.raises(ConfigError, match=f"already runs.*process {os.getpid()}"):
        embedded.start(folder / "data")
    assert started[0].process.poll() is None


def test_without_a_server_other_commands_are_told_what_to_do(folder):
    with pytest.raises(ConfigError, match="sigil up"):
        embedded.url(folder / "data")
    embedded.start(folder / "data").stop()
    with pytest.raises(ConfigError, match=r"redis\.url"):
        embedded.url(folder / "data")


def test_an_unsupported_platform_is_told_to_set_redis_url(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"redis\.url"):
        embedded.start(folder / "data")


def test_a_folder_that_cannot_be_made_is_an_error(folder):
    (folder / "file").write_text("")
    with pytest.raises(ConfigError, match="data_dir"):
        embedded.start(folder / "file" / "data")


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells children on Linux only")
def test_it_ends_with_the_process_that_started_it(folder):
    script = (
        "import sys, time; from pathlib import Path; from sigil.host import embedded;"
        "print(embedded.start(Path(sys.argv[1])).process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "data")], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    ended = threading.Event()
    for _ in range(100):
        if (
            not Path(f"/proc/{server}").exists()
            or "Z (" in Path(f"/proc/{server}/stat").read_text()
        ):
            break
        ended.wait(0.05)
    else:
        pytest.fail("the server outlived its parent")


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("unix:///a/b.sock", "redis+socket:///a/b.sock?virtual_host=0"),
        ("unix:///a/b.sock?db=3", "redis+socket:///a/b.sock?virtual_host=3"),
        ("unix://:pw@/a%20b", "redis+socket://:pw@/a%20b?virtual_host=0"),
        ("redis://h:6379/2", "redis://h:6379/2"),
        ("redis://:p%40w@h/0?socket_timeout=3", "redis://:p%40w@h/0"),
        ("redis://h?db=4", "redis://h/4"),
        ("rediss://h:6380/0", "rediss://h:6380/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("sentinel://h/main", "sentinel://h:26379/0"),
        (
            "sentinel://u:p%40w%3B@a:1;[::1]:2/main/3",
            "sentinel://u:p%40w%3B@a:1/3;sentinel://u:p%40w%3B@[::1]:2/3",
        ),
    ],
)
def test_the_broker_is_the_same_server_in_other_words(url, broker):
    assert embedded.broker_url(url) == broker
