"""Structured logs on standard error, as JSON or for a console, and never with a secret.

Lines of the standard library's logging (Celery, uvicorn) go the same way. Which message,
session and turn a line belongs to comes from `context`, which follows the running task.

Two nets hold secrets back: values under names that look like a secret's, and every value that
`setup` found to be a secret in the settings, wherever in the finished line it stands.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

from sigil.config import Settings
from sigil.config.masking import looks_secret, mask_url, secret_values

REDACTED = "[redacted]"
# A shorter secret would blot out every other word; it is hidden only where it stands alone.
MIN_SUBSTRING = 6
MAX_TEXT = 16_384
_MAX_DEPTH = 6

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_LINE_BREAK = re.compile(r"[\t\n]")
_MULTILINE = frozenset({"exception", "stack"})
# They bring handlers of their own, or say on INFO what contains credentials (URLs).
_ROUTED = ("celery", "uvicorn", "uvicorn.access", "uvicorn.error")
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

    `role` is put on every line. `level` overrides the settings'.
    """
    stream = sys.stderr if stream is None else stream
    redactor = Redactor(secret_values(settings))
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(settings.logging.format, stream, redactor, role))
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, _Formatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level or settings.logging.level)
    logging.captureWarnings(capture=True)
    _route_libraries()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # else a logger made before `setup` would stay as it was
    )


def context(
    *, message: str | None = None, session: str | None = None, turn: str | None = None
) -> AbstractContextManager[None]:
    """Puts these ids on every line logged inside, also by tasks started there."""
    ids = {"message_id": message, "session_id": session, "turn_id": turn}
    return bound_contextvars(**{name: value for name, value in ids.items() if value is not None})


def _route_libraries() -> None:
    for name in _ROUTED:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class Redactor:
    """Takes secrets out of log events and finished lines."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._exact = frozenset(secrets)
        forms = {form for s in self._exact if len(s.strip()) >= MIN_SUBSTRING for form in _forms(s)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._anywhere = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def event(self, _logger: Any, _method: str, event: Event) -> Event:
        """A structlog processor: names that look like a secret's, and short secrets."""
        for name, value in event.items():
            event[name] = self._clean(name, value)
        return event

    def line(self, text: str) -> str:
        """A finished line, or any other text, without the secrets in it."""
        text = mask_url(text)
        return text if self._anywhere is None else self._anywhere.sub(REDACTED, text)

    def _clean(self, name: str, value: Any, depth: int = 0) -> Any:
        if isinstance(value, (str, bytes)):
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if looks_secret(name) or text in self._exact:
                return REDACTED
            if len(text) > MAX_TEXT:  # before it is cut, since half a secret is not recognised
                text = self.line(text)[:MAX_TEXT] + "…"
            return _printable(text, keep_lines=name in _MULTILINE)
        if depth >= _MAX_DEPTH or value is None or isinstance(value, (bool, int, float)):
            return value if depth < _MAX_DEPTH else "…"
        if isinstance(value, Mapping):
            return {str(k): self._clean(str(k), item, depth + 1) for k, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._clean(name, item, depth + 1) for item in value]
        return self._clean(name, str(value), depth)


def _forms(secret: str) -> set[str]:
    """How a secret may be spelled in a line: as it is, in JSON, in Python, in a URL."""
    secret = secret.strip()
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
    }


def _printable(text: str, *, keep_lines: bool) -> str:
    """Without what could forge a line or drive a terminal."""
    text = text.encode("utf-8", "backslashreplace").decode()
    text = _CONTROL.sub(_escaped, text)
    return text if keep_lines else _LINE_BREAK.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Our own lines and the libraries' in one form."""

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
                redactor.event,
                _json if as_json else _console(colors=stream.isatty()),
            ],
        )

    def _add_role(self, _logger: Any, _method: str, event: Event) -> Event:
        event.update(self._static)
        return event

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.line(super().format(record))


def _json(_logger: Any, _method: str, event: Event) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=str)


def _console(*, colors: bool) -> Any:
    return structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback
    )
