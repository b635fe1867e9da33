"""`sigil channel list` and `sigil channel test`, and what other commands say of accounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from sigil.channels.account_leases import AccountRecord
from sigil.channels.base import AccountContext, ChannelSpec, ChannelType, Check
from sigil.errors import AccountRefused

CONFIG = f"""
channels:
  family: {{type: "{__name__}:TestedType", options: {{finds: fine}}}}
"""
WORKS = AccountRecord("family", "web-1:7", since=300.0, silence=3.0, cursor_age=7300.0, age=1.0)
REFUSED = AccountRecord(
    *("family", "web-1:7", "refused"), error="the token is wrong", rests=200.0, age=1.0
)
RESTS = AccountRecord(
    *("family", "web-1:7", "resting"), error="the network is away", rests=9.0, age=1.0
)


class Options(BaseModel):
    finds: str


class TestedType(ChannelType):
    __test__ = False

    spec = ChannelSpec()
    options = Options
    sender = "sigil.channels.memory.channel:make_memory_channel"
    listener = f"{__name__}:Tested"


class Tested:
    __test__ = False

    def __init__(self, context: AccountContext, options: Options) -> None:
        self.name = context.name
        self._finds = options.finds

    async def listen(self, inbox: object) -> None: ...

    async def check(self) -> Sequence[Check]:
        if self._finds == "refusal":
            raise AccountRefused("the token is wrong.", hint="Ask for another one.")
        if self._finds == "bug":
            raise ValueError("with a token in it")
        said = "the platform knows us as @bot", "it may read group messages"
        return [
            Check(said[0], ok=True),
            Check(said[1], ok=self._finds == "fine", hint="Ask @BotFather: /setprivacy."),
        ]

    async def close(self) -> None: ...


@pytest.fixture
def configure(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def configure(finds: str = "fine") -> None:
        (tmp_path / "sigil.yaml").write_text(CONFIG.replace("fine", finds))
        monkeypatch.setenv("SIGIL_CONFIG", str(tmp_path / "sigil.yaml"))

    configure()
    return configure


def test_the_list_shows_who_listens(call: Any, fake_redis: Any, configure: Any) -> None:
    fake_redis.accounts.known = {"family": WORKS}
    code, out, _ = call("channel", "list")
    assert code == 0
    rows = dict(line.split("\t", 1) for line in out.splitlines())
    assert rows["family"] == "listening\tweb-1:7\t5 min\t3 s ago\t2 h ago\t-"
    assert rows["web"].startswith("built in")
    code, out, _ = call("channel", "list", "--json")
    found = {each["id"]: each for each in json.loads(out)}
    assert found.keys() == {"web", "terminal", "family"}
    assert found["web"] == {"id": "web", "type": "web", "listens": False}
    family = found["family"]
    assert (family["listens"], family["works"], family["trouble"]) == (True, True, None)
    assert (family["process"], family["state"], family["silence"]) == ("web-1:7", "listening", 3.0)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (REFUSED, "does not listen: the token is wrong; it is tried again in 200 s"),
        (RESTS, "does not listen: the network is away; it is tried again in 9 s"),
        (AccountRecord("family", is_held=False), "nobody listens for the channel family"),
    ],
)
def test_trouble_is_told_everywhere(
    call: Any, fake_redis: Any, configure: Any, record: AccountRecord, says: str
) -> None:
    fake_redis.accounts.known = {"family": record}
    assert says in call("channel", "list")[1]
    assert says in call("status")[1]
    [told] = json.loads(call("status", "--json")[1])["channels"]
    assert (told["id"], told["works"]) == ("family", False)
    assert says in told["trouble"]
    findings = json.loads(call("doctor", "--json")[1])["findings"]
    [found] = [each for each in findings if says in each["detail"]]
    assert found["state"] == ("fail" if record is REFUSED else "warn")
    is_held = record.is_held
    assert ("sigil channel test family" if is_held else "sigil gateway") in found["advice"]


def test_a_channel_without_a_listener_has_no_trouble(call: Any, fake_redis: Any) -> None:
    assert json.loads(call("status", "--json")[1])["channels"] == []


def test_a_test_says_what_to_do(call: Any, configure: Any) -> None:
    code, out, _ = call("channel", "test", "family")
    assert code == 0
    assert out.splitlines()[1].startswith("ok\tthe platform knows us as @bot")
    configure("a missing permission")
    code, out, _ = call("channel", "test", "family")
    assert code == 1
    assert "fail\tit may read group messages\tAsk @BotFather: /setprivacy." in out
    code, out, _ = call("channel", "test", "family", "--json")
    found = json.loads(out)
    assert (code, found["id"], found["ok"]) == (1, "family", False)
    assert [each["ok"] for each in found["checks"]] == [True, False]


def test_a_test_that_fails_shows_no_token(call: Any, configure: Any) -> None:
    configure("refusal")
    code, out, _ = call("channel", "test", "family")
    assert code == 1
    assert "fail\tthe token is wrong.\tAsk for another one." in out
    configure("bug")
    code, out, _ = call("channel", "test", "family")
    assert code == 1
    assert "ValueError" in out
    assert "token" not in out


def test_the_page_needs_no_test(call: Any) -> None:
    assert call("channel", "test", "web")[0] == 0


def test_a_channel_that_is_not_configured_is_wrong_use(call: Any) -> None:
    code, out, err = call("channel", "test", "famly")
    assert (code, out) == (2, "")
    assert "famly" in err
