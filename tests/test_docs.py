"""What the documentation says: its examples load, and what it names exists."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import sigil.cli
from sigil import bootstrap
from sigil.agent import wording
from sigil.bootstrap import NoWakeups
from sigil.commands.table import COMMANDS
from sigil.config import Settings, load_settings
from sigil.errors import AllProvidersUnavailable, BudgetExceeded, ErrorKind, ProviderError
from sigil.messages.conversation import Message
from sigil.money.budgets import Budgets
from sigil.money.price_book import PriceBook
from sigil.providers.anthropic import AnthropicProvider
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.chain.health import Health
from sigil.providers.google import GoogleProvider
from sigil.providers.model_request import Budget
from sigil.providers.openai import OpenAIProvider
from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.openai.servers import COMPATIBLE
from sigil.testing import fake_stores
from sigil.web.ops.metrics import Metrics

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs/guides/models.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
VARIABLE = re.compile(r"\$\{(\w+)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
CHAT_COMMANDS = set(COMMANDS)
PATHS = {"healthz", "metrics", "readyz"}


def examples() -> Iterator[object]:
    for page in PAGES:
        blocks = [text for language, text in FENCE.findall(page.read_text()) if language == "yaml"]
        for number, text in enumerate(blocks, 1):
            yield pytest.param(text, id=f"{page.name}-{number}")


def named_commands() -> Iterator[tuple[str, str]]:
    """Those of pages that speak of today; a record may speak of what is planned."""
    for page in PAGES:
        if page.parent.name == "decisions":
            continue
        text = page.read_text()
        blocks = [block for language, block in FENCE.findall(text) if language in {"console", "sh"}]
        typed = re.findall(r"^(?:\$ )?(sigil .*)$", "\n".join(blocks), re.MULTILINE)
        said = [code for code in CODE.findall(text) if code.startswith("sigil ")]
        yield from ((page.name, line) for line in (*typed, *said))


def section(heading: str) -> str:
    """What stands below a heading of the guide, up to the next one."""
    below = rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)"
    found = re.search(below, GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def first_cells(table: str) -> list[str]:
    """The code in the first column of a section's tables, in order."""
    rows = re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
    return [code for row in rows for code in CODE.findall(row)]


def assert_is_a_command(line: str) -> None:
    """Walks the words as typer would; options must exist, whether or not they are in brackets."""
    words = re.sub(r"[\[\]]|\s#.*", "", line).split()[1:]
    command = typer.main.get_command(sigil.cli.app)
    context = command.make_context("sigil", [], resilient_parsing=True)
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no `{words[0]}` in `{line}`"
        command = found
        words.pop(0)
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options, line


@pytest.mark.parametrize("text", list(examples()))
def test_an_example_is_a_configuration_that_works(text, tmp_path):
    file = tmp_path / "sigil.yaml"
    file.write_text(text)
    environ = {name: f"made-up-{name}" for name in VARIABLE.findall(text)}
    bootstrap.check(load_settings(file, environ=environ))


@pytest.mark.parametrize(("page", "line"), sorted(set(named_commands())))
def test_a_command_that_is_named_exists(page, line):
    assert_is_a_command(line)


def test_a_command_that_does_not_exist_would_be_noticed():
    for line in ("sigil nonsense", "sigil config nonsense", "sigil status --nonsense"):
        with pytest.raises(AssertionError):
            assert_is_a_command(line)


def test_the_front_door_shows_every_command():
    lines = [line for page, line in named_commands() if page == "README.md"]
    named = {word for line in lines for word in re.findall(r"[a-z]+", line)[1:2]}
    assert named | {"version"} >= set(typer.main.get_command(sigil.cli.app).commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_of_chats_exists(page):
    codes = CODE.findall(page.read_text())
    named = {code[1:].partition(" ")[0] for code in codes if code.startswith("/")}
    assert {name for name in named if name.isalpha()} <= CHAT_COMMANDS | PATHS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            slugs = {
                re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings
            }
            assert anchor in slugs, target


def test_a_target_of_make_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        typed = re.findall(r"^(?:\$ )?make ([a-z-]+)", page.read_text(), re.MULTILINE)
        said = re.findall(r"`make ([a-z-]+)", page.read_text())
        assert {*typed, *said} <= targets, page


def test_make_up_is_at_the_top_of_the_front_door():
    top = (ROOT / "README.md").read_text().splitlines()[:30]
    assert "$ make up" in top


def test_a_setting_that_the_guide_names_exists():
    for code in CODE.findall(GUIDE.read_text()):
        group, dot, name = code.partition(".")
        if dot and group in {"models", "budgets", "timeouts", "agent"}:
            fields = type(getattr(Settings(), group)).model_fields
            assert name.partition(":")[0] in fields, code


def test_every_option_of_a_provider_is_in_the_guide():
    ours = {"self", "name", "api_key", "base_url", "options"}
    for provider, name in (
        (AnthropicProvider, "anthropic"),
        (GoogleProvider, "google"),
        (OpenAIProvider, "openai"),
    ):
        taken = set(inspect.signature(provider).parameters) - ours
        if provider is OpenAIProvider:
            taken |= set(OpenAIOptions.model_fields)
        assert set(first_cells(section(f"Options of `{name}`"))) == taken


def test_every_known_server_is_in_the_guide():
    said = set(CODE.findall(section("Servers that speak OpenAI's API")))
    assert said >= set(COMPATIBLE)
    ports = dict(re.findall(r"`(\w+)` \((?:port )?(\d+)\)", GUIDE.read_text()))
    local = {name: at.base_url for name, at in COMPATIBLE.items() if not at.needs_key}
    assert {name: f"http://127.0.0.1:{port}/v1" for name, port in ports.items()} == local


def test_every_class_of_failure_is_in_the_guide():
    said = first_cells(section("When a call fails"))
    assert sorted(said) == sorted(kind.value for kind in ErrorKind)


def limited(kind, retry_in):
    return AllProvidersUnavailable({}, kinds={"a/m": kind}, retry_in=retry_in)


def test_what_the_guide_quotes_is_what_people_are_told():
    table = section("What people are told")
    refused = limited(ErrorKind.AUTH, retry_in=None)
    told = [
        wording.explain_wait(limited(ErrorKind.RATE_LIMITED, retry_in=20), 22.5),
        wording.explain_wait(limited(ErrorKind.NETWORK, retry_in=200), 205),
        wording.explain_wait(limited(ErrorKind.OVERLOADED, retry_in=0), 12),
        wording.explain_failure(AllProvidersUnavailable({}, retry_in=170)),
        wording.explain_failure(AllProvidersUnavailable({})),
        wording.explain_failure(refused, owner_knows=True),
        wording.explain_failure(refused),
        wording.explain_failure(ProviderError("long", kind=ErrorKind.CONTEXT_TOO_LONG)),
        wording.explain_failure(ProviderError("bad", kind=ErrorKind.FILTERED)),
    ]
    with pytest.raises(BudgetExceeded) as exceeded:
        Budget(max_session_tokens=200_000, used_session_tokens=200_000).check()
    told.append(wording.explain_budget(exceeded.value))
    for sentence in told:
        assert f"| {sentence} |".replace("\u00a0", " ") in table  # it may not end a line


@pytest.mark.parametrize(
    ("limit", "held", "spent", "told"),
    [
        (0.0001, 0, 0, "is too small for this message"),
        (0.01, 10_000, 10_000, "is used up"),
        (0.01, 9_999, 9_999, "does not cover this message any more"),
        (0.01, 9_999, None, "is set aside for answers under way"),
    ],
)
async def test_what_the_guide_quotes_of_budgets_is_what_people_are_told(limit, held, spent, told):
    price = {"input": 1, "output": 1}
    settings = Settings.model_validate(
        {
            "providers": {"openai": {"models": {"*": {"price": price}}}},
            "budgets": {"user": {"max_day_usd": limit}},
        }
    )
    stores = fake_stores()
    budgets = Budgets(stores.budgets, PriceBook(settings.providers), settings)
    whose = {"session_key": "s", "user_id": "ana", "workspace_id": "w"}
    if held:
        await stores.budgets.reserve(
            "earlier", budgets.find_limits(*whose.values()), held, held, ttl=60
        )
    if spent:
        await stores.budgets.settle("earlier", spent)
    request = ChatRequest("m", [Message("user", "hello")], max_tokens=500)
    with pytest.raises(BudgetExceeded, match=told) as exceeded:
        await budgets.open_meter(**whose).reserve("openai/m", request, ModelInfo("m"))
    assert f"| {wording.explain_budget(exceeded.value)} |" in section("What people are told")
    await stores.backend.close()


async def test_the_metrics_of_the_guide_are_those_there_are():
    stores = fake_stores()
    health = Health(stores.health)
    grant = await health.admit("openai", "m", ["k"])
    await health.report(grant, ProviderError("down"))
    body, _ = await Metrics(stores, NoWakeups()).render()
    await stores.backend.close()
    series = dict(
        re.findall(
            r"^(sigil_(?:provider|budget|conversations)\w*)(?:\{(.*?)\})? ",
            body.decode(),
            re.MULTILINE,
        )
    )
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section("Metrics"), re.MULTILINE)
    said = {name: set(CODE.findall(labels)) for name, labels in rows}
    assert said == {name: set(re.findall(r"(\w+)=", labels)) for name, labels in series.items()}
