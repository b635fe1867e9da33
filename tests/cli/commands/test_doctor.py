"""`sigil doctor`."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from sigil.errors import StoreFull
from sigil.lanes.fleet import ProcessRecord


def findings(out: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for each in json.loads(out)["findings"]:
        found.setdefault(each["check"], []).append(each)
    return found


def test_doctor_on_a_fresh_machine(call, monkeypatch):
    monkeypatch.setenv("SIGIL_GATEWAY__PORT", "0")
    code, out, _ = call("doctor", "--json")
    found = findings(out)
    assert code == 0
    assert found["redis"][0]["state"] == "warn"
    assert "sigil up" in found["redis"][0]["advice"]
    assert found["providers"][0]["state"] == "warn"
    assert {found[name][0]["state"] for name in ("configuration", "data folder", "port")} == {"ok"}
    assert all(each["advice"] for many in found.values() for each in many if each["state"] != "ok")


def test_doctor_finds_what_is_wrong(call, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    Path("sigil.yaml").write_text(
        """
        data_dir: file/data
        redis: {url: "redis://:hide-me@127.0.0.1:1/0"}
        gateway: {token: hide-me}
        users: {sean: {role: owner, identities: ["telegarm:1"]}}
        workspaces: {w: {bindings: [{channel: telegarm, channel_id: 1}]}}
        providers: {openai: {}}
        models: {default: openai/x}
        """
    )
    Path("sigil.yaml").chmod(0o644)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("SIGIL_GATEWAY__PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr("sigil.cli.probes.PATIENCE_S", 0.1)
        code, out, _ = call("doctor", "--json")
    found = findings(out)
    assert code == 1
    assert "hide-me" not in out
    assert found["redis"][0]["state"] == "fail"
    assert found["port"][0]["state"] == "fail"
    assert found["data folder"][0]["state"] == "fail"
    assert found["gateway.token"][0]["state"] == "warn"
    assert found["providers"][0]["detail"] == "openai has no api_key"
    assert "chmod 600" in found["configuration"][1]["advice"]
    assert [each["detail"].split()[0] for each in found["channels"]] == [
        "users.sean.identities[0]",
        "workspaces.w.bindings[0]",
    ]


def test_doctor_knows_a_running_sigil(call, monkeypatch, httpserver):
    httpserver.expect_request("/healthz").respond_with_data("ok\n")
    monkeypatch.setenv("SIGIL_GATEWAY__HOST", "127.0.0.1")
    monkeypatch.setenv("SIGIL_GATEWAY__PORT", str(httpserver.port))
    _, out, _ = call("doctor", "--json")
    assert "running Sigil" in findings(out)["port"][0]["detail"]


def test_doctor_says_that_the_gateway_runs_elsewhere(call, monkeypatch, fake_redis):
    monkeypatch.setenv("SIGIL_GATEWAY__PORT", "0")
    gateway = ProcessRecord("g", ("gateway",), "1", "c", "another-host", 12)
    fake_redis.fleet.known = [gateway, replace(gateway, id="gone", pid=11, silence=60.0)]
    (port,) = findings(call("doctor", "--json")[1])["port"]
    assert port["detail"].endswith("is free; the gateway runs elsewhere, as another-host:12")


def test_doctor_repeats_what_the_server_warns_of(call, fake_redis):
    found = findings(call("doctor", "--json")[1])
    assert [each["state"] for each in found["redis"]] == ["ok", "warn"]


def test_doctor_names_what_is_wrong_with_the_lanes(call, fake_redis):
    assert "books" not in findings(call("doctor", "--json")[1])
    fake_redis.lanes.balanced = False
    code, out, _ = call("doctor", "--json")
    (found,) = findings(out)["books"]
    assert (code, found["state"], found["detail"]) == (1, "fail", "one is lost")
    assert "--deep" in found["advice"]


def test_doctor_says_why_new_messages_are_refused(call, fake_redis):
    fake_redis.backend.refusal = StoreFull("the memory of Redis is full.", hint="Raise maxmemory.")
    code, out, _ = call("doctor", "--json")
    (found,) = findings(out)["redis"]
    assert (code, found["state"]) == (1, "fail")
    assert (found["detail"], found["advice"]) == (
        "the memory of Redis is full.",
        "Raise maxmemory.",
    )


def test_doctor_looks_at_the_processes_of_all_machines(call, fake_redis):
    def process(id, role, version="0.1", configuration="c0ffee", silence=0.0):
        known = (id, (role,), version, configuration, f"host-{id}", 1)
        return ProcessRecord(*known, silence=silence)

    def look(*processes):
        fake_redis.fleet.known = list(processes)
        return [each["detail"] for each in findings(call("doctor", "--json")[1])["processes"]]

    assert look() == ["none is running"]
    crew = [process("g", "gateway"), process("r", "routing"), process("o", "outbound")]
    agent = process("a", "agent")
    assert look(*crew, agent) == ["running: 1 gateway, 1 routing, 1 outbound, 1 agent"]
    assert look(*crew, replace(agent, silence=35.0))[1:] == [
        "no agent worker is running",
        "agent worker host-a:1 has been silent for 35 s: it hangs or was killed",
    ]
    [configurations] = look(*crew, agent, process("b", "agent", configuration="decade"))[1:]
    assert configurations == (
        "different configurations work side by side: c0ffee: gateway host-g:1, routing worker "
        "host-r:1, outbound worker host-o:1, agent worker host-a:1; decade: agent worker host-b:1"
    )
    [versions] = look(agent, *crew, process("b", "agent", "0.2", "decade"))[1:]
    assert versions.startswith("different versions work side by side: 0.1: agent worker host-a:1")
    assert versions.endswith("; 0.2: agent worker host-b:1")
    newer = replace(process("b", "agent"), records=2)
    [versions] = look(*crew, agent, newer)[1:]
    assert versions.startswith("different versions of records work side by side: 1: gateway host-g")
    [left] = look(*crew, replace(agent, left_lanes=3))[1:]
    assert left.startswith("agent worker host-a:1 leaves 3 lanes to a newer process: ")


def test_doctor_refuses_files_in_a_folder_where_roles_run_on_several_hosts(
    call, fake_redis, monkeypatch
):
    def process(role, host, silence=0.0):
        return ProcessRecord(role, (role,), "0.1", "c0ffee", host, 1, silence=silence)

    def look(*processes):
        fake_redis.fleet.known = list(processes)
        return findings(call("doctor", "--json")[1]).get("blobs.store", [])

    here, there = process("gateway", "one"), process("agent", "two")
    assert look(here, process("agent", "one")) == []
    assert look(here, replace(there, silence=35.0)) == []
    [finding] = look(here, there)
    assert (finding["state"], finding["detail"]) == (
        "fail",
        "is file, which works on one machine, but Sigil runs on one, two",
    )
    monkeypatch.setenv("SIGIL_BLOBS__STORE", "redis")
    assert look(here, there) == []


def test_doctor_names_a_stage_whose_workers_are_behind(call, fake_redis):
    fake_redis.wakeups.waiting = {"turn": 65, "route": 64}
    [finding] = findings(call("doctor", "--json")[1])["wake-ups"]
    assert finding["detail"].startswith("65 wait for the stage 'turn'")


def test_doctor_says_what_is_wrong_with_the_configuration(call):
    Path("sigil.yaml").write_text("gatewai: {}")
    code, out, _ = call("doctor")
    assert code == 1
    assert "did you mean 'gateway'?" in out


def test_doctor_for_one_role_asks_for_that_roles_secrets(call):
    Path("sigil.yaml").write_text("providers: {openai: {api_key: '${NO_SUCH_KEY}'}}")
    assert "providers" not in findings(call("doctor", "--role", "routing", "--json")[1])
    assert call("doctor", "--role", "agent")[0] == 1


def test_doctor_finds_names_that_no_process_can_start_with(call):
    Path("sigil.yaml").write_text(
        "channels: {telegrm: {}}\nproviders: {opnai: {}}\nmodels: {default: opnai/x}"
    )
    code, out, _ = call("doctor", "--json")
    found = findings(out)
    assert code == 1
    assert "channels.telegrm.type" in found["channels"][0]["detail"]
    assert "providers.opnai.type" in found["providers"][0]["detail"]
    assert {found[name][0]["state"] for name in ("channels", "providers")} == {"fail"}


@pytest.mark.parametrize(
    "provider",
    ["api_keys: [sk-aaaaaaaa, sk-bbbbbbbb]", "type: openai, options: {server: ollama}"],
)
def test_a_provider_needs_no_api_key_if_it_has_several_or_its_server_asks_for_none(
    call, provider, httpserver
):
    httpserver.expect_request("/models").respond_with_json({"data": [{"id": "gpt-5"}]})
    place = f"{provider}, base_url: '{httpserver.url_for('')}'"
    Path("sigil.yaml").write_text(
        f"providers: {{openai: {{{place}}}}}\nmodels: {{default: openai/gpt-5}}"
    )
    _, out, _ = call("doctor", "--json", "--role", "agent")
    assert {finding["state"] for finding in findings(out)["providers"]} == {"ok"}
