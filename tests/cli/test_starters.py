"""What `sigil config init --channel` writes can be used, and says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sigil import bootstrap
from sigil.cli.starters import list_starters, load_channel_starter
from sigil.config import load_settings
from sigil.config.schema.channels import CHANNEL_SETTINGS
from sigil.errors import ConfigError
from tests.workers.stack import ROOT

CHANNELS = list_starters()


def test_every_channel_with_settings_of_its_own_has_a_starter() -> None:
    assert set(CHANNELS) == set(CHANNEL_SETTINGS)


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_starter_names_its_variables_and_works_once_they_are_set(
    call: Any, tmp_path: Path, kind: str
) -> None:
    code, out, _ = call("config", "init", "--channel", kind)
    assert code == 0
    written, starter = tmp_path / "sigil.yaml", load_channel_starter(kind)
    assert starter.variables
    for variable in starter.variables:
        assert variable in out
        others = {each: "secret" for each in starter.variables if each != variable}
        with pytest.raises(ConfigError, match=f"{variable} is not set"):
            load_settings(written, environ=others)
    settings = load_settings(written, environ=dict.fromkeys(starter.variables, "secret"))
    assert settings.policy(starter.entry).type == kind
    bootstrap.check(settings)
    assert f"`sigil channel test {starter.entry}`" in out
    assert starter.page in out
    assert (ROOT / str(starter.page)).is_file()


def test_all_channels_go_into_one_file(call: Any, tmp_path: Path) -> None:
    words = [word for kind in CHANNELS for word in ("--channel", kind)]
    assert call("config", "init", *words, *words)[0] == 0
    starters = [load_channel_starter(kind) for kind in CHANNELS]
    variables = {name: "secret" for each in starters for name in each.variables}
    settings = load_settings(tmp_path / "sigil.yaml", environ=variables)
    assert set(settings.channels) == {each.entry for each in starters} | {"web", "terminal"}


def test_a_plug_in_brings_its_own(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pigeons"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "starter.yaml").write_text("# Tame ones.\nloft:\n  type: pigeons.spec:Pigeon\n")
    monkeypatch.syspath_prepend(tmp_path)
    code, out, _ = call("config", "init", "--channel", "pigeons.spec:Pigeon")
    assert (code, out.splitlines()[1:]) == (0, ["loft: run `sigil channel test loft`."])
    assert set(load_settings(tmp_path / "sigil.yaml").channels) == {"loft", "web", "terminal"}


@pytest.mark.parametrize("kind", ["web", "telegarm", "no.such:Thing", ".:", ""])
def test_a_type_without_a_starter_writes_nothing(call: Any, tmp_path: Path, kind: str) -> None:
    code, _, err = call("config", "init", "--channel", kind)
    assert (code, (tmp_path / "sigil.yaml").exists()) == (1, False)
    assert "telegram" in err
