"""The embedded Valkey: it keeps what it acknowledged, and says clearly why it cannot start."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sigil.errors import ConfigError
from sigil.host import embedded, guard
from sigil.host.memory_limit import choose_maxmemory
from sigil.host.valkey_address import find_running_url
from tests.workers.stack import wait_until

pytestmark = pytest.mark.valkey


@pytest.fixture
def started() -> Iterator[list[embedded.EmbeddedValkey]]:
    servers: list[embedded.EmbeddedValkey] = []
    yield servers
    for server in servers:
        server.stop()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_uses_no_more_memory_than_it_is_given(folder, started):
    started.append(embedded.start(folder / "data", maxmemory="300mb"))
    with redis.Redis.from_url(find_running_url(folder / "data")) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(300 * 1024**2)}


@pytest.mark.parametrize("name", ["data", "my data; ümlaut's", "d" * 120])
def test_it_serves_with_nothing_to_lose_and_for_its_owner_only(folder, started, name):
    data = folder / name
    started.append(embedded.start(data))
    with redis.Redis.from_url(find_running_url(data)) as client:
        for key, value in (
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("save", ""),
            ("maxmemory-policy", "noeviction"),
        ):
            assert client.config_get(key) == {key: value}
        assert client.config_get("maxmemory") == {"maxmemory": str(choose_maxmemory())}
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
    assert f"{aof} is damaged" in str(caught.value)
    # The folder is free again.
    aof.write_bytes(b"")
    embedded.start(data).stop()


def test_a_damaged_file_can_be_mended_as_the_error_says(folder, started):
    first = embedded.start(folder / "data")
    with redis.Redis.from_url(first.url) as client:
        for number in range(20):
            client.set(f"k{number}", "v")
    first.stop()
    (aof,) = (folder / "data" / "valkey" / "appendonlydir").glob("*.incr.aof")
    written = bytearray(aof.read_bytes())
    written[written.index(b"*3", len(written) // 2)] ^= 0x55
    aof.write_bytes(written)
    with pytest.raises(ConfigError) as caught:
        embedded.start(folder / "data")
    commands = [line.strip() for line in str(caught.value).splitlines()[1:]]
    subprocess.run(
        ["sh", "-ec", "\n".join(commands)], input=b"y\n", check=True, capture_output=True
    )
    started.append(embedded.start(folder / "data"))
    with redis.Redis.from_url(started[0].url) as client:
        assert client.get("k0") == b"v"
        assert client.get("k19") is None


def test_the_next_server_has_a_socket_of_its_own_behind_the_same_address(folder, started):
    first = embedded.start(folder / "data")
    link = folder / "data" / "valkey" / "valkey.sock"
    sockets = {link.resolve()}
    first.process.kill()  # it leaves its socket
    first.stop()
    started.append(embedded.start(folder / "data"))
    sockets.add(link.resolve())
    assert len(sockets) == 2
    assert {path.resolve() for path in link.parent.glob("valkey.sock*")} == {link.resolve()}


LEFT = """
import os, signal, sys
from pathlib import Path
from sigil.host import embedded, guard
server = embedded.start(Path(sys.argv[1]))
server.process.send_signal(signal.SIGSTOP)
print(server.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def leave_orphan(data: Path) -> int:
    """A server that hangs, and whose parent was killed."""
    command = [sys.executable, "-c", LEFT, str(data)]
    parent = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert parent.returncode == -signal.SIGKILL
    return int(parent.stdout)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or ") Z " not in stat.read_text()


def test_an_orphan_that_hangs_is_ended_before_the_next_server_starts(folder, started):
    orphan = leave_orphan(folder / "data")
    said: list[str] = []
    server = embedded.EmbeddedValkey(folder / "data", say=said.append)
    started.append(server)
    server.spawn()
    assert not is_running(orphan)
    assert [f"process {orphan}" in text for text in said] == [True, True]  # SIGTERM, SIGKILL


def test_the_id_of_another_program_in_the_lock_ends_nothing(folder, started, monkeypatch):
    """The process that wrote its id has ended, and another one got that id."""
    monkeypatch.setattr(guard, "END_SERVER_WITHIN_S", 0.1)
    orphan = leave_orphan(folder / "data")
    innocent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (folder / "data" / "valkey" / "data.lock").write_text(f"{innocent.pid}\n")
    server = embedded.EmbeddedValkey(folder / "data")
    started.append(server)
    with pytest.raises(ConfigError, match="cannot be ended"):
        server.spawn()
    assert innocent.poll() is None
    innocent.communicate(b"\n")
    os.kill(orphan, signal.SIGKILL)


def test_a_disk_without_room_is_named(folder, started, monkeypatch):
    """The server of this test writes what Valkey does when its file cannot grow."""
    server = embedded.EmbeddedValkey(folder / "data")
    started.append(server)
    stand_in = folder / "valkey-server"
    stand_in.write_text(
        "#!/bin/sh\necho 'Error writing to the AOF file: No space left on device'\nexit 1\n"
    )
    stand_in.chmod(0o700)
    monkeypatch.setattr(server, "_binary", stand_in)
    server.spawn().wait()
    assert server.explain() == f"no space left on device: {folder}/data/valkey"
    with pytest.raises(ConfigError, match="did not start: no space left"):
        server.is_ready()


def test_a_second_server_on_the_folder_is_refused(folder, started):
    started.append(embedded.start(folder / "data"))
    with pytest.raises(ConfigError, match=f"already runs.*process {os.getpid()}"):
        embedded.start(folder / "data")
    assert started[0].process.poll() is None


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
    wait_until(lambda: not is_running(server), within=5)
