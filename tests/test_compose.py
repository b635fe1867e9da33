"""The compose file and the image, checked as far as that goes without a container engine."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml

from sigil import bootstrap
from sigil.config import Settings, load_settings

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
SIGIL = sorted(SERVICES.keys() - {"redis"})
WORKERS = ("routing", "agent", "outbound")
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|AUTH")


def seconds(duration: str) -> int:
    amount, unit = re.fullmatch(r"(\d+)([sm])", duration).groups()
    return int(amount) * {"s": 1, "m": 60}[unit]


def instructions(name: str) -> list[str]:
    """The arguments of every such instruction in the Dockerfile, in order."""
    return re.findall(rf"^{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def as_given(environment: dict[str, str | None]) -> dict[str, str]:
    """A service's variables with made-up values for those that come from .env."""
    return {
        key: "from-dot-env" if value is None or value.startswith("${") else value
        for key, value in environment.items()
    }


def assert_is_a_command(arguments: list[str]) -> None:
    """Walks the command line as typer would, and parses what remains with the last command."""
    import sigil.cli

    assert arguments[0] == "sigil"
    command = typer.main.get_command(sigil.cli.app)
    words = list(arguments[1:])
    context = command.make_context("sigil", [], resilient_parsing=True)
    while hasattr(command, "get_command"):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, f"there is no `{name}` in {shlex.join(arguments)}"
    command.make_context(command.name, words)  # raises on a role or an option there is not


def test_the_file_fits_the_specification():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    found = subprocess.run(
        [*check, str(ROOT / "docker-compose.yml")], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_it_has_one_service_per_role_and_the_two_beside_them():
    assert set(SERVICES) == {"redis", "gateway", *WORKERS, "flower"}


@pytest.mark.parametrize("name", ["gateway", *WORKERS])
def test_a_service_runs_a_role_that_exists(name):
    assert_is_a_command(SERVICES[name]["command"])
    assert SERVICES[name]["command"][-1] == name


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_checked_by_a_command_that_exists(name):
    kind, *command = SERVICES[name]["healthcheck"]["test"]
    assert kind == "CMD"
    assert_is_a_command(command)
    assert command[:3] == SERVICES[name]["command"]


@pytest.mark.parametrize("name", ["gateway", *WORKERS])
def test_a_service_has_the_settings_its_role_needs(name):
    service = SERVICES[name]
    assert "./deploy/sigil.yaml:/etc/sigil/sigil.yaml:ro" in service["volumes"]
    settings = load_settings(
        ROOT / "deploy/sigil.yaml", role=name, environ=as_given(service["environment"])
    )
    assert settings.redis.url.get_secret_value() == "redis://redis:6379/0"
    if name == "gateway":
        assert settings.gateway.host == "0.0.0.0"
        assert service["ports"] == [f"127.0.0.1:{settings.gateway.port}:{settings.gateway.port}"]
        assert f":{settings.gateway.port}/readyz" in service["healthcheck"]["test"][-1]
        assert instructions("EXPOSE") == [str(settings.gateway.port)]


@pytest.mark.parametrize("role", ["gateway", *WORKERS])
def test_what_the_settings_file_suggests_can_be_used(role, tmp_path):
    """What is commented out has no space after its `#`, or two; prose has one."""
    text = (ROOT / "deploy/sigil.yaml").read_text()
    file = tmp_path / "sigil.yaml"
    file.write_text(re.sub(r"^(\s*)#(?=[^\s#]|  )", r"\1", text, flags=re.MULTILINE))
    environ = as_given(SERVICES[role]["environment"])
    settings = load_settings(file, role=role, environ=environ)
    assert settings.providers.keys() == {"echo", "anthropic", "google", "openai", "ollama"}
    for vendor in ("anthropic", "google", "openai"):
        assert (settings.providers[vendor].api_key is not None) == (role == "agent")
    for name in ("telegram.token", "matrix.access_token", "email.password", "hook.secret"):
        entry, _, key = name.partition(".")
        is_given = getattr(settings.channels[entry], key) is not None
        assert is_given == (role in {"gateway", "outbound"})
    assert settings.models.failover
    assert settings.budgets.max_session_tokens == 200_000
    assert settings.budgets.max_day_usd == 20
    bootstrap.check(settings, role)


def test_a_role_that_does_not_exist_would_be_noticed():
    with pytest.raises((Exception, SystemExit)):
        assert_is_a_command(["sigil", "worker", "nonsense"])
    with pytest.raises(AssertionError):
        assert_is_a_command(["sigil", "nonsense"])


def test_flower_finds_the_celery_app():
    from celery import Celery
    from celery.app.utils import find_app

    assert SERVICES["flower"]["command"][:4] == ["celery", "-A", "workers", "flower"]
    assert isinstance(find_app("workers"), Celery)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name):
    ports = SERVICES[name].get("ports", [])
    assert all(str(port).startswith("127.0.0.1:") for port in ports)
    assert SERVICES[name].get("network_mode") is None
    assert (name in {"gateway", "flower"}) == bool(ports)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_checked_for_health(name):
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_with_more_rights_than_it_needs(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert "docker.sock" not in str(service.get("volumes"))
    if name == "redis":
        assert service["user"] not in {"0", "root"}
    else:  # the image's own user, see below
        assert service.get("user") is None


@pytest.mark.parametrize("name", ["gateway", *WORKERS])
def test_a_service_may_finish_its_turns(name):
    grace = Settings().timeouts.grace
    assert seconds(SERVICES[name]["stop_grace_period"]) >= grace + 10


def test_redis_loses_and_evicts_nothing():
    service = SERVICES["redis"]
    options = dict(zip(service["command"][1::2], service["command"][2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--maxmemory"] == "${REDIS_MAXMEMORY:-700mb}"
    assert service["mem_limit"] == "${REDIS_MEM_LIMIT:-1g}"
    (volume,) = service["volumes"]
    source, target = volume.split(":")
    assert source in COMPOSE["volumes"]
    assert target == "/data"
    assert "ports" not in service
    grace = [seconds(SERVICES[name]["stop_grace_period"]) for name in WORKERS]
    assert seconds(service["stop_grace_period"]) > max(grace)


def test_redis_and_flower_share_a_network_without_a_way_out():
    assert SERVICES["redis"]["networks"] == ["state"]
    assert COMPOSE["networks"]["state"]["internal"] is True
    assert all("state" in SERVICES[name]["networks"] for name in SERVICES)


@pytest.mark.parametrize("name", SIGIL)
def test_a_service_waits_for_redis(name):
    assert SERVICES[name]["depends_on"]["redis"]["condition"] == "service_healthy"
    assert SERVICES[name]["environment"]["SIGIL_REDIS__URL"] == "redis://redis:6379/0"


def test_a_secret_is_only_where_it_is_needed():
    channels = set(COMPOSE["x-channel-secrets"])
    allowed = {
        "redis": set(),
        "gateway": {"SIGIL_GATEWAY__TOKEN"} | channels,
        "routing": set(),
        "agent": set(COMPOSE["x-model-secrets"]),
        "outbound": channels,
        "flower": {"FLOWER_BASIC_AUTH"},
    }
    held = {
        name: {key for key in service.get("environment", {}) if SECRET.search(key)}
        for name, service in SERVICES.items()
    }
    assert held == allowed
    assert not any("env_file" in service for service in SERVICES.values())


def test_no_secret_is_written_down():
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key):
                assert value is None or value.startswith("${")
    for line in (ROOT / ".env.example").read_text().splitlines():
        assert line.startswith("#") or line.partition("=")[2] == ""


def test_every_variable_that_compose_asks_for_is_in_the_example():
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    asked |= {
        key
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if value is None
    }
    offered = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert offered == asked


def test_git_and_the_image_leave_the_secrets_out():
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(rule for rule in rules if not rule.startswith("#")) == "*"
    assert not any(rule.startswith("!.env") for rule in rules)


def test_the_image_runs_as_nobody_special():
    user, group = instructions("USER")[-1].split(":")
    assert int(user) > 0
    assert int(group) > 0
    last_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert "\nUSER " in last_stage


def test_the_image_installs_from_the_lock():
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&\n]*)", DOCKERFILE)
    assert installs
    for install in installs:
        assert "--require-hashes" in install or {"--no-deps", "--no-index"} <= set(install.split())
    assert any("-r requirements.lock" in install for install in installs)


def test_the_image_says_what_it_is_built_on():
    stages = instructions("FROM")
    assert all(re.match(r"python:3\.1[1-3]-slim( |$)", stage) for stage in stages)
    image = SERVICES["redis"]["image"]
    assert re.search(r":\d", image)


def test_the_image_holds_no_secret():
    for line in instructions("ENV") + instructions("ARG"):
        assert not SECRET.search(line)


def test_what_the_image_copies_reaches_the_builder():
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            assert [f"!{source}" for source in line.split()[:-1] if f"!{source}" not in rules] == []


def test_the_image_starts_a_role_that_exists():
    (command,) = instructions("CMD")
    assert_is_a_command(yaml.safe_load(command))
