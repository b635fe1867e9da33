"""Where the configuration comes from, and how its YAML is read."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sigil.config import find_config, load_settings
from sigil.config.document import MAX_BYTES, parse, scalar
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
        (32, 200, 64)
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


# ---------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a: [", "1: is not valid YAML"),
        (b"a:\n\tb: 1", "2: contains a tab. Indent with spaces."),
        (b"- 1\n- 2", "1: the file must be a mapping of sections."),
        (b"\n\njust words", "3: the file must be a mapping"),
        (b"gateway:\n  port: 1\n  port: 2", "3: gateway.port: given twice, first in line 2."),
        (b"models:\n  default: \xff\xfe", "2: is not valid UTF-8."),
        (b"models:\n  default: a\x00b", "2: contains a control character."),
        (b"a: !!python/object/apply:os.system [id]", "1: has a YAML tag"),
        (b"a: !!python/name:os.system x", "1: has a YAML tag"),
        (b"a: !!int x", "1: is tagged as a number but is none"),
        (b"? [a, b]\n: 1", "1: a key must be plain text"),
        (b"a: *nowhere", "1: is not valid YAML: refers to an anchor that is not defined"),
        (b"a: 1\n---\nb: 2", "2: is not valid YAML"),
        (b"a: &a [*a]", "1: holds too many or too deeply nested values"),
        (b"a: " + b"[" * 100 + b"]" * 100, "1: holds too many or too deeply nested values"),
        (b"# " + b"x" * MAX_BYTES, "has more than 256 KiB"),
    ],
)
def test_a_broken_file_is_said_to_be_broken_where_it_is(problems, text, expected):
    (line,) = problems(text)
    assert expected in line


def test_brackets_without_end_do_not_exhaust_the_stack(problems):
    (line,) = problems(b"[" * 100_000)
    assert "is nested too deeply" in line


def test_aliases_cannot_blow_a_file_up(problems):
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (line,) = problems("\n".join(bomb))
    assert "holds too many" in line


@pytest.mark.parametrize(
    "text", ["+15551234567", "0123", "1_000", "12:30", "0x1f", "1e5", "1.10", "yes", "off", "123"]
)
def test_ids_stay_what_was_written(load, text):
    found = load(f"channels: {{telegram: {{allowlist: [{text}, -100123]}}}}")
    assert found.channels["telegram"].allowlist == [text, "-100123"]


@given(st.integers(-(10**17), 10**17) | st.booleans() | st.none() | st.sampled_from([0.5, -1.25]))
def test_plain_scalars_have_their_json_types(value):
    found = scalar(json.dumps(value))
    assert (found, type(found)) == (value, type(value))


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbfgateway: {}")
def test_any_bytes_are_read_or_refused(raw):
    try:
        found: object = parse(raw, "sigil.yaml").data
    except ConfigError as error:
        found = str(error)
    assert isinstance(found, dict) or found.startswith("sigil.yaml:")


def test_the_environment_is_that_of_the_process_by_default(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("SIGIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SIGIL_GATEWAY__PORT", "4321")
    file = tmp_path / "sigil.yaml"
    file.touch()
    assert load_settings(file).gateway.port == 4321
