"""`sigil doctor` on model vendors: it asks them, and it reads what the workers have found."""

import json
from pathlib import Path

import pytest
from werkzeug import Response

from sigil.providers.chain.health_store import Cooldown
from sigil.providers.names import fingerprint

KEY = "sk-of-the-lab"
PRINT = fingerprint("lab", KEY)
PLACE = "`providers.lab.api_key`, line 4 of sigil.yaml"


@pytest.fixture
def vendor(httpserver):
    """A vendor that lists two models. The configuration names its key in line 4."""
    Path("sigil.yaml").write_text(
        f"models: {{default: lab/small}}\nproviders:\n  lab:\n    api_key: {KEY}\n"
        f"    type: openai\n    base_url: {httpserver.url_for('')}\n"
        "    models: {small: {price: {input: 1, output: 2}}}\n"
    )
    Path("sigil.yaml").chmod(0o600)
    return httpserver


def list_two_models(vendor):
    models = {"data": [{"id": "small"}, {"id": "large"}]}
    vendor.expect_request("/models").respond_with_json(models)


def look(call, *options):
    code, out, _ = call("doctor", "--json", "--role", "agent", *options)
    assert KEY not in out
    found = [each for each in json.loads(out)["findings"] if each["check"] in WANTED]
    return code, [(each["state"], each["detail"], each["advice"]) for each in found]


WANTED = ("providers", "live call")


def test_a_key_that_is_accepted(call, vendor):
    list_two_models(vendor)
    code, (first, answer) = look(call)
    assert code == 0
    assert first[:2] == ("ok", "lab/small is asked first")
    assert answer[:2] == ("ok", "lab answers and lists 2 models")
    (request, _), *_ = vendor.log
    assert request.headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("status", "found", "advice"),
    [
        (401, "lab refused its key (401)", f"Check {PLACE}."),
        (
            402,
            "lab has no credit left (402)",
            f"Add credit to the account of {PLACE}, or choose another model.",
        ),
    ],
)
def test_what_only_the_owner_can_mend_is_said_with_its_place(call, vendor, status, found, advice):
    error = {"error": {"message": f"no {KEY}", "code": "no"}}
    vendor.expect_request("/models").respond_with_json(error, status=status)
    code, findings = look(call)
    assert code == 1
    assert findings[1] == ("fail", found, advice)


def test_the_variable_that_sets_the_key_is_named(call, vendor, monkeypatch):
    monkeypatch.setenv("SIGIL_PROVIDERS__LAB__API_KEY", KEY)
    vendor.expect_request("/models").respond_with_data("", status=401)
    assert "set by the variable SIGIL_PROVIDERS__LAB__API_KEY" in look(call)[1][1][2]


def test_a_server_that_is_down(call, vendor, monkeypatch):
    monkeypatch.setenv("SIGIL_PROVIDERS__LAB__BASE_URL", "http://127.0.0.1:1/v1")
    code, findings = look(call)
    assert code == 1
    assert findings[1][0] == "fail"
    assert "providers.lab.base_url" in findings[1][2]


def test_a_model_that_the_vendor_does_not_list(call, vendor):
    vendor.expect_request("/models").respond_with_json({"data": [{"id": "smaller"}]})
    _, findings = look(call)
    assert findings[2][:2] == ("warn", "lab does not list small; did you mean 'smaller'?")
    assert "models.default" in findings[2][2]


def test_what_the_workers_have_found(call, vendor, fake_redis):
    list_two_models(vendor)
    fake_redis.health.known = [
        Cooldown("lab", "small", PRINT, "auth", 500.0),
        Cooldown("lab", "large", PRINT, "rate_limited", 20.0),
    ]
    code, findings = look(call)
    assert code == 1
    assert (
        "fail",
        "lab refused its key",
        f"Check {PLACE}.",
    ) in (findings)
    assert findings[-1][:2] == ("warn", "lab/large is resting after rate_limited, 20 s left")
    assert "sigil providers reset lab/large" in findings[-1][2]


def test_a_replaced_key_is_not_reported(call, vendor, fake_redis):
    list_two_models(vendor)
    old = fingerprint("lab", "the-key-before")
    fake_redis.health.known = [Cooldown("lab", "small", old, "auth", 500.0)]
    code, findings = look(call)
    assert (code, {state for state, *_ in findings}) == (0, {"ok"})


def test_one_trouble_is_said_once(call, vendor, fake_redis):
    vendor.expect_request("/models").respond_with_data("", status=401)
    fake_redis.health.known = [
        Cooldown("lab", model, PRINT, "auth", 500.0) for model in ("small", "large")
    ]
    _, findings = look(call)
    assert [detail for state, detail, _ in findings if state == "fail"] == [
        "lab refused its key (401)"
    ]


def stream(*events):
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    return Response(text, content_type="text/event-stream")


@pytest.mark.valkey
def test_a_live_call_is_small_reserved_and_recorded(call, vendor, real_redis):
    list_two_models(vendor)
    asked = []

    def answer(request):
        asked.append(json.loads(request.data))
        choice = {"index": 0, "delta": {"content": "OK"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        return stream({"choices": [choice]}, {"choices": [], "usage": usage})

    vendor.expect_request("/chat/completions").respond_with_handler(answer)
    code, findings = look(call, "--live")
    assert code == 0
    assert findings[-1][0] == "ok"
    assert findings[-1][1].startswith("lab/small answered in ")
    assert len(asked) == 1
    assert max(asked[0].get("max_tokens", 0), asked[0].get("max_completion_tokens", 0)) == 16
    _, out, _ = call("budget", "--json")
    assert "0.000015" in out or "1.5e-05" in out
    (turn,) = json.loads(call("turns", "--json")[1])["turns"]
    assert (turn["what"], turn["user"]) == ("live call", "owner")
    assert turn["attempts"][0]["cost"] == 15


@pytest.mark.valkey
def test_a_live_call_that_is_refused(call, vendor, real_redis):
    list_two_models(vendor)
    vendor.expect_request("/chat/completions").respond_with_data("", status=401)
    code, findings = look(call, "--live")
    assert code == 1
    assert findings[-1][1] == "lab refused its key (401)"
    assert call("providers")[1].count("auth")


@pytest.mark.valkey
def test_a_live_call_of_a_model_that_rests(call, vendor, real_redis):
    list_two_models(vendor)
    vendor.expect_request("/chat/completions").respond_with_data("", status=401)
    look(call, "--live")
    _, findings = look(call, "--live")
    assert findings[-1][1].startswith("lab/small was not called: resting after auth")
    assert "sigil providers reset lab/small" in findings[-1][2]
