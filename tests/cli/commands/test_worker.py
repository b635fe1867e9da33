"""`sigil worker`."""

import pytest


@pytest.mark.parametrize("role", ["routing", "agent", "outbound"])
def test_a_worker_is_started_with_its_role(call, monkeypatch, role):
    seen = []
    monkeypatch.setattr("sigil.host.logs.setup", lambda *_args, **_options: None)
    monkeypatch.setattr(
        "sigil.cli.commands.worker.run",
        lambda settings, role, *, check, concurrency: seen.append((role, check, concurrency)) or 3,
    )
    assert call("worker", role, "--check", "--concurrency", "7")[0] == 3
    assert seen == [(role, True, 7)]


def test_a_check_fails_if_no_worker_is_alive(call):
    assert call("worker", "agent", "--check")[::2] == (
        *(1, "error: No agent worker is alive on this machine.\n"),
    )
