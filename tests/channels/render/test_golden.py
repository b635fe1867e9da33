"""One rich reply as each platform gets it. After a change that is meant, write the files anew with
WRITE_GOLDEN=1, and read them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sigil.channels.base import Markup
from sigil.channels.render import render
from tests.channels.render.documents import TARGETS, make_spec

FOLDER = Path(__file__).parent / "golden"


@pytest.mark.parametrize("target", TARGETS)
def test_a_rich_reply(target: Markup) -> None:
    message, *others = render((FOLDER / "source.md").read_text("utf-8"), make_spec(target))
    assert others == []
    files = {"txt": message.text}
    for name, value in message.extras.items():
        if isinstance(value, str):
            files["html"] = value.replace("><", ">\n<")
        else:
            files["json"] = "\n".join([json.dumps(item) for item in value])
            assert name == "entities"
    for ending, text in files.items():
        file = FOLDER / f"{target}.{ending}"
        if os.environ.get("WRITE_GOLDEN"):
            file.write_text(text + "\n", "utf-8")
        assert file.read_text("utf-8") == text + "\n"
