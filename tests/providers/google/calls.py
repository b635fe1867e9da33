"""Calls of Google's provider."""

from __future__ import annotations

from functools import partial

from tests.providers import calls

MODEL = "gemini-3.8-flash"

make_request = partial(calls.make_request, model=MODEL)
collect_events = partial(calls.collect_events, model=MODEL)
collect_error = partial(calls.collect_error, model=MODEL)
