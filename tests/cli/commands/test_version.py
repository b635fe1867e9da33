"""`sigil version`."""

import json

import sigil


def test_version(call):
    assert call("version") == call("--version") == (0, f"sigil {sigil.__version__}\n", "")
    assert json.loads(call("version", "--json")[1])["sigil"] == sigil.__version__
