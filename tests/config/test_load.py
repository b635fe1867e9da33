"""Where the configuration comes from."""

import os
from pathlib import Path

import pytest

from sigil.config import find_config, load_settings
from sigil.errors import ConfigError

NO_ENVIRONMENT: dict[str, str] = {}


def test_nothing_at_all_is_a_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": "/data"})
    assert found.models.default == "echo/echo"
    assert found.data_dir == Path("/data/sigil")
    assert set(found.channels) == {"web", "terminal"}
    assert set(found.providers) == {"echo"}
    assert {id: (u.name, u.role) for id, u in found.users.items()} == {"owner": ("Owner", "owner")}
    pools = found.workers
    assert (pools.routing.concurrency, pools.agent.concurrency, pools.outbound.concurrency) == (
        (128, 200, 128)
    )


def test_an_empty_file_is_the_same_as_none(load):
    assert load("") == load("# nothing\n") == load("gateway:\nchannels:\nusers: ~\n")


def test_files_are_found_in_order(tmp_path, monkeypatch):
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    environ = {"XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(tmp_path)}

    users = home / "sigil" / "sigil.yaml"
    users.parent.mkdir(parents=True)
    users.write_text("gateway: {port: 2}")
    assert find_config(environ) == users
    assert load_settings(environ=environ).gateway.port == 2

    Path("sigil.yaml").write_text("gateway: {port: 1}")
    assert load_settings(environ=environ).gateway.port == 1

    named = tmp_path / "named.yaml"
    named.write_text("gateway: {port: 3}")
    assert load_settings(environ=environ | {"SIGIL_CONFIG": str(named)}).gateway.port == 3

    given = tmp_path / "given.yaml"
    given.write_text("gateway: {port: 4}")
    assert load_settings(given, environ=environ | {"SIGIL_CONFIG": str(named)}).gateway.port == 4


def test_a_file_that_was_named_must_be_there(tmp_path):
    gone = tmp_path / "gone.yaml"
    with pytest.raises(ConfigError, match=r"gone\.yaml: there is no such file.*config init"):
        load_settings(gone, environ=NO_ENVIRONMENT)
    with pytest.raises(ConfigError, match="no such file"):
        load_settings(environ={"SIGIL_CONFIG": str(gone)})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, environ=NO_ENVIRONMENT)


def test_a_relative_data_dir_is_beside_the_file_that_names_it(load, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load("data_dir: data").data_dir == tmp_path / "data"
    assert load("data_dir: data", SIGIL_DATA_DIR="data").data_dir == elsewhere / "data"
    assert load("data_dir: /var/lib/sigil").data_dir == Path("/var/lib/sigil")
    assert load("data_dir: ~/x").data_dir == Path.home() / "x"


def test_settings_do_not_change(load):
    with pytest.raises(ValueError, match="frozen"):
        load().gateway.port = 1


def test_the_environment_is_that_of_the_process_by_default(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("SIGIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SIGIL_GATEWAY__PORT", "4321")
    file = tmp_path / "sigil.yaml"
    file.touch()
    assert load_settings(file).gateway.port == 4321


def test_private_hosts_and_networks_are_names_or_networks(load, problems):
    text = "network: {allow_private: [NAS.local, 10.0.0.5, 192.168.1.0/24, 'fd00::/8']}"
    assert load(text).network.allow_private == [
        "nas.local",
        "10.0.0.5/32",
        "192.168.1.0/24",
        "fd00::/8",
    ]
    for wrong in ("'http://nas'", "192.168.1.7/24", "300.1.1.1", "'a b'", "'*'"):
        [problem] = problems(f"network: {{allow_private: [{wrong}]}}")
        assert "must be a host, an address or a network" in problem
