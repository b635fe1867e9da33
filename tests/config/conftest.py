"""Settings out of texts."""

import re

import pytest

from sigil.config import Settings, load_settings
from sigil.errors import ConfigError


@pytest.fixture
def load(tmp_path):
    """Settings out of a text, and nothing from this machine's environment."""

    def load(text: str | bytes = "", role: str | None = None, **environ: str) -> Settings:
        file = tmp_path / "sigil.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_settings(file, role=role, environ=environ)

    return load


@pytest.fixture
def problems(load):
    """What is wrong with a text, one line each, without the folder's name."""

    def problems(text: str | bytes = "", role: str | None = None, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, role, **environ)
        lines = str(caught.value).splitlines()
        return [re.sub(r"^\s*\S*/sigil\.yaml:", "", line) for line in lines]

    return problems
