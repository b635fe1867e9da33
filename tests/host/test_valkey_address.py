"""How other commands find the server to use."""

import signal

import pytest

from sigil.config import load_settings
from sigil.errors import ConfigError, StoreError
from sigil.host import embedded
from sigil.host.valkey_address import find_running_url, find_store_url


@pytest.mark.valkey
def test_without_a_server_other_commands_are_told_what_to_do(folder):
    with pytest.raises(ConfigError, match="sigil up"):
        find_running_url(folder / "data")
    embedded.start(folder / "data").stop()
    with pytest.raises(ConfigError, match=r"redis\.url"):
        find_running_url(folder / "data")


@pytest.mark.valkey
def test_a_server_that_hangs_is_not_said_to_be_missing(folder):
    server = embedded.start(folder / "data")
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreError, match="has not answered"):
            find_running_url(folder / "data")
    finally:
        server.process.send_signal(signal.SIGCONT)
        server.stop()


def test_a_configured_server_goes_before_the_private_one(tmp_path):
    environ = {"SIGIL_DATA_DIR": str(tmp_path), "SIGIL_REDIS__URL": "redis://h:6379/1"}
    settings = load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path), **environ})
    assert find_store_url(settings) == "redis://h:6379/1"
