"""Logs: what is on a line, and what never is."""

import io
import json
import logging
import warnings

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars

from sigil.config import load_settings
from sigil.host import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def setup(tmp_path):
    """Sets logging up and returns what it writes to."""

    def setup(text="", *, stream=None, **options) -> io.StringIO:
        file = tmp_path / "sigil.yaml"
        file.write_text(text)
        stream = stream or io.StringIO()
        logs.setup(load_settings(file, environ={}), stream=stream, **options)
        return stream

    return setup


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_time_level_and_ids(setup):
    stream = setup(role="agent")
    log = structlog.get_logger("sigil.test")
    with bound_contextvars(message_id="m1", session_id="s1", turn_id="t1"):
        log.info("turn_ended", tokens=12)
    log.info("later")
    first, second = lines(stream)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "turn_ended",
        "level": "info",
        "logger": "sigil.test",
        "role": "agent",
        "message_id": "m1",
        "session_id": "s1",
        "turn_id": "t1",
        "tokens": 12,
    }
    assert "message_id" not in second


@pytest.mark.parametrize("name", ["celery.worker", "uvicorn.error", "anything"])
def test_the_standard_library_goes_the_same_way(setup, name):
    own = logging.StreamHandler(other := io.StringIO())
    logging.getLogger("uvicorn").addHandler(own)
    stream = setup()
    with bound_contextvars(turn_id="t1"):
        logging.getLogger(name).warning("took %d ms", 5)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("took 5 ms", "warning", name)
    assert line["turn_id"] == "t1"
    assert other.getvalue() == ""


def test_a_warning_of_a_library_is_a_line_like_any_other(setup):
    logging.captureWarnings(capture=False)  # whoever came before
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        stream = setup()
        warnings.warn("two\nlines", UserWarning, stacklevel=1)
    (line,) = lines(stream)
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "two" in line["event"]


def test_the_level_counts_for_both(setup):
    stream = setup("logging: {level: warning}")
    for log in (structlog.get_logger("a"), logging.getLogger("b")):
        log.info("no")
        log.error("yes")
    assert [line["event"] for line in lines(stream)] == ["yes", "yes"]
    stream = setup("logging: {level: warning}", level="DEBUG")
    structlog.get_logger("a").debug("now")
    assert len(lines(stream)) == 1


def test_http_clients_do_not_log_their_urls(setup):
    stream = setup("logging: {level: debug}")
    logging.getLogger("httpx2").info("POST https://api.example/bot123:abc/send")
    assert stream.getvalue() == ""


def test_setting_up_again_replaces_the_first(setup):
    first, second = setup(), setup()
    structlog.get_logger("a").info("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1


def test_a_terminal_gets_text_and_a_file_json(setup):
    terminal = setup(stream=Terminal())
    structlog.get_logger("a").info("hello", who="you")
    assert not terminal.getvalue().startswith("{")
    assert "hello" in terminal.getvalue()
    forced = setup("logging: {format: json}", stream=Terminal())
    structlog.get_logger("a").info("hello")
    assert lines(forced)[0]["event"] == "hello"
    console = setup("logging: {format: console}")
    structlog.get_logger("a").info("hello")
    assert "\x1b" not in console.getvalue()
    assert "hello" in console.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_nothing_written_can_forge_a_line_or_drive_a_terminal(setup, form):
    stream = setup(f"logging: {{format: {form}}}")
    hostile = 'a\n{"event":"forged"}\r\x1b[2J\x9b\u2028\u202e\u2066\udc80'
    structlog.get_logger("a").info(hostile, who=hostile, more=[{"x": hostile}])
    logging.getLogger("b").warning("%s", hostile)
    written = stream.getvalue()
    assert len(written.splitlines()) == 2
    assert not set("\r\x1b\x9b\u2028\u202e\u2066") & set(written)
    written.encode()


# ---------------------------------------------------------------- secrets

SETTINGS = """
logging: {{format: {form}}}
gateway: {{token: 'tok"en-ä-1234'}}
users: {{sean: {{token: seans-token}}}}
redis: {{url: "redis://user:pass%2Fword9@host:6379/0"}}
providers: {{openai: {{api_key: sk-abcdef}}}}
channels:
  telegram:
    type: memory
    options: {{bot_token: "123:botsecret", key: k-123456, retries: 3}}
"""
SECRETS = (
    *('tok"en-ä-1234', "seans-token", "pass%2Fword9", "pass/word9", "sk-abcdef"),
    *("123:botsecret", "k-123456"),
)


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_of_the_settings_is_in_any_line(setup, form, secret):
    stream = setup(SETTINGS.format(form=form))
    log = structlog.get_logger("a")
    log.info(f"event {secret}", plain=secret, inside=f"x{secret}y", deep=[{"a": (secret,)}])
    log.info("an object", it=ValueError(secret), raw=secret.encode())
    log.info("long", text="x" * (logs.MAX_TEXT - 3) + secret)
    logging.getLogger("celery").error("args %r", [secret])
    try:
        raise RuntimeError(f"cannot log in with {secret}")
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("uvicorn.error").exception("failed")
    written = stream.getvalue()
    assert written.count("RuntimeError") >= 2
    assert logs.REDACTED in written
    for spelling in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], secret[:5]):
        assert spelling not in written
    if form == "json":
        lines(stream)


def test_names_that_look_secret_hide_values_nobody_registered(setup):
    stream = setup()
    structlog.get_logger("a").info(
        "event",
        bot_token="abc",
        headers={"Authorization": "Bearer abc", "Accept": "*/*"},
        apiKey="abc",
        tokens=5,
        token=17,
        lane_key="session:web:0a1b",
        url="https://u:abc@h/x?access_token=abc&page=2",
    )
    (line,) = lines(stream)
    assert "abc" not in stream.getvalue()
    assert (line["tokens"], line["token"], line["lane_key"]) == (5, 17, "session:web:0a1b")
    assert line["headers"]["Accept"] == "*/*"
    assert line["url"].endswith("&page=2")


def test_a_short_secret_does_not_blot_out_words(setup):
    stream = setup("gateway: {token: cat}")
    structlog.get_logger("a").info("concatenate", word="cat", words="concatenate")
    (line,) = lines(stream)
    assert (line["event"], line["word"], line["words"]) == (
        *("concatenate", logs.REDACTED, "concatenate"),
    )


@given(st.text(min_size=logs.MIN_SUBSTRING).filter(lambda s: len(s.strip()) >= 6), st.text())
def test_a_registered_secret_is_found_however_it_is_wrapped(secret, around):
    secret = secret.strip()
    redactor = logs.Redactor({secret})
    assert redactor.redact_line(f"{around}{secret}") != f"{around}{secret}"
    assert secret not in redactor.redact_line(secret)
    assert json.dumps(secret) not in redactor.redact_line(json.dumps({"a": secret}))
