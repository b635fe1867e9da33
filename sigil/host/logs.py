"""Structured logs on standard error, as JSON or for a console, and never with a secret.

    log = structlog.get_logger(__name__)
    with bound_contextvars(message_id=item.id, turn_id=turn_id):
        log.info("message accepted", channel="web")

An event is a short lower-case sentence. The cause of what went wrong is the field `reason`, the
class of an exception is `error_type`. The ids that are bound are on every line that is logged
inside, also by the tasks that are started there. Lines of the standard library's logging
(Celery, uvicorn) come out in the same form.

Two nets hold secrets back. One hides the values of fields whose names look secret. The other
hides every secret of the settings, wherever it stands in the finished line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

import structlog
from structlog.contextvars import merge_contextvars

from sigil.config import Settings
from sigil.config.masking import find_secrets, mask_urls
from sigil.config.secret_names import looks_secret

REDACTED = "[redacted]"
# A shorter secret may be part of ordinary words. It is hidden only where it is the whole value.
MIN_SUBSTRING = 6
MAX_TEXT = 16_384
_MAX_DEPTH = 6

# What can move the cursor, change the terminal, or write backwards.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_LINE_BREAK = re.compile(r"[\t\n]")
_MULTILINE = frozenset({"exception", "stack"})
# These bring handlers of their own, which are removed.
_ROUTED = ("celery", "uvicorn", "uvicorn.access", "uvicorn.error")
# These log URLs on INFO, and a URL may contain credentials.
_QUIET = ("anthropic", "asyncio", "httpcore", "httpx", "httpx2", "kombu", "openai")

Event = MutableMapping[str, Any]


def setup(
    settings: Settings,
    *,
    role: str | None = None,
    level: str | None = None,
    stream: TextIO | None = None,
) -> None:
    """Sends all logging of this process to `stream` (default: stderr); may be called again.

    `role` is put on every line. `level` overrides the level in the settings.
    """
    stream = sys.stderr if stream is None else stream
    redactor = Redactor(find_secrets(settings))
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(settings.logging.format, stream, redactor, role))
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, _Formatter):
            root.removeHandler(old)
    root.addHandler(handler)
    level = level or settings.logging.level
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in _ROUTED:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        # Its methods below the level are empty: each message passes several of them.
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a logger made before `setup` must change too
    )


class Redactor:
    """Takes secrets out of log events and finished lines."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._exact = frozenset(secrets)
        long = [secret for secret in self._exact if len(secret.strip()) >= MIN_SUBSTRING]
        forms = {form for secret in long for form in _list_spellings(secret)}
        # Longest first, or a secret that begins with another one would be hidden only in part.
        longest_first = sorted(forms, key=len, reverse=True)
        self._anywhere = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def redact_event(self, _logger: Any, _method: str, event: Event) -> Event:
        """A structlog processor: hides values by their names, and short secrets."""
        for name, value in event.items():
            event[name] = self._redact_value(name, value)
        return event

    def redact_line(self, text: str) -> str:
        """Hides the secrets in a finished line, or in any other text."""
        text = mask_urls(text)
        return text if self._anywhere is None else self._anywhere.sub(REDACTED, text)

    def _redact_value(self, name: str, value: Any, depth: int = 0) -> Any:
        if isinstance(value, (str, bytes)):
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if looks_secret(name) or text in self._exact:
                return REDACTED
            if len(text) > MAX_TEXT:  # hide first: the cut could leave half a secret
                text = self.redact_line(text)[:MAX_TEXT] + "…"
            return _escape_controls(text, keep_lines=name in _MULTILINE)
        if depth >= _MAX_DEPTH or value is None or isinstance(value, (bool, int, float)):
            return value if depth < _MAX_DEPTH else "…"
        if isinstance(value, Mapping):
            return {
                str(k): self._redact_value(str(k), item, depth + 1) for k, item in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._redact_value(name, item, depth + 1) for item in value]
        return self._redact_value(name, str(value), depth)


def _list_spellings(secret: str) -> set[str]:
    """The ways to write a secret in a line: plain, in JSON, in Python, in a URL."""
    secret = secret.strip()
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
    }


def _escape_controls(text: str, *, keep_lines: bool) -> str:
    """Escapes the characters that could forge a line or control a terminal."""
    if text.isascii() and text.isprintable():
        return text
    text = text.encode("utf-8", "backslashreplace").decode()
    text = _CONTROL.sub(_escape_match, text)
    return text if keep_lines else _LINE_BREAK.sub(_escape_match, text)


def _escape_match(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Gives our own lines and those of libraries one form."""

    def __init__(self, form: str, stream: TextIO, redactor: Redactor, role: str | None) -> None:
        self._redactor = redactor
        self._static = {} if role is None else {"role": role}
        as_json = form == "json" or (form == "auto" and not stream.isatty())
        super().__init__(
            foreign_pre_chain=[merge_contextvars],
            processors=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.stdlib.add_log_level,
                self._add_role,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                redactor.redact_event,
                _render_json if as_json else _make_console_renderer(colors=stream.isatty()),
            ],
        )

    def _add_role(self, _logger: Any, _method: str, event: Event) -> Event:
        event.update(self._static)
        return event

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.redact_line(super().format(record))


def _render_json(_logger: Any, _method: str, event: Event) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=str)


def _make_console_renderer(*, colors: bool) -> Any:
    return structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback
    )
