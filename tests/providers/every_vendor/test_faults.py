"""Each way in which an answer can fail ends in its class of error, over every API.

What the code of one API tells apart is tried over each of them, what a vendor's provider tells
apart over one API of each SDK, and what is the same for all over one.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping

import pytest

from sigil.errors import ErrorKind, ProviderError
from sigil.providers import EventType, Message, Provider
from tests.providers.calls import collect_events, join_text
from tests.providers.exchange import KEY, REQUEST_ID, TEXT, WORDS
from tests.providers.fault_server import FaultServer, fault_server
from tests.providers.faults import RETRY_AFTER, Case, cases
from tests.providers.vendors import LOCAL, SDKS, VENDORS, Vendor

PROMPT = "A word that only these two know"

# Which events make an answer, and which end it.
OF_EACH_API = {
    "ends_early.before", "ends_early.mid", "ends_early.whole",
    "overloaded_event.mid", "overloaded_event.whole", "server_event.mid", "limited_event.mid",
    "no_content.before", "no_content.whole", "empty_body.before", "empty_body.whole",
    "filtered.before", "filtered.mid", "filtered.whole",
    "malformed.mid", "malformed.whole", "not_an_object.mid", "not_an_object.whole",
    "html_page.before", "html_page.whole", "cut.mid",
}  # fmt: skip
# What the SDK raises, and how it is translated.
OF_EACH_SDK = {
    "cut_without_headers.before", "cut.whole", "gzip_garbage.before", "gzip_garbage.whole",
    "not_utf8.mid", "not_utf8.whole", "html_error.before", "html_error.whole",
    "auth.before", "auth.whole", "limited_for.before", "limited_for.whole", "status_500.before",
}  # fmt: skip
# How bytes are read.
OF_ALL = {"reset.mid", "reset.whole", "cut.before", "trickles.mid", "trickles.whole"}


def pairs() -> Iterator[object]:
    by_model = {case.model: case for case in cases()}
    for models, vendors in (
        (OF_EACH_API, VENDORS),
        (OF_EACH_SDK, SDKS),
        (OF_ALL, SDKS[:1]),
        ({"auth.before"}, [LOCAL]),
    ):
        for model in sorted(models):
            for vendor in vendors:
                yield pytest.param(vendor, by_model[model], id=f"{vendor}-{model}")


def everything_in(error: BaseException) -> str:
    """All that a log or a report could show of an error."""
    shown = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            shown.append(everything_in(cause))
    return "\n".join(shown)


@pytest.mark.parametrize(("vendor", "case"), [*pairs()])
async def test_a_fault_ends_in_its_class(
    server: FaultServer, providers: Mapping[str, Provider], vendor: Vendor, case: Case
) -> None:
    events = await collect_events(
        providers[vendor.name],
        Message("user", PROMPT),
        model=case.model,
        stream=case.place != "whole",
    )
    assert len(server.calls) == 1, "the SDK must not try again by itself"
    error = events[-1].error
    if case.kind is None:
        assert (error, join_text(events)) == (None, TEXT)
        return
    assert isinstance(error, ProviderError)
    assert (error.kind, error.provider, error.reached) == (case.kind, vendor.name, True), str(error)
    assert error.retry_after == (RETRY_AFTER if case.fault == "limited_for" else None)
    if case.place == "mid":
        assert join_text(events) == WORDS[0]
    if error.status is not None and case.place != "mid" and "html" not in case.fault:
        assert error.request_id == REQUEST_ID
    if case.place == "mid" and case.fault != "filtered":
        counts = [event.usage for event in events if event.type is EventType.USAGE]
        assert counts == ([vendor.wire.usage] if vendor.wire.counts_early else [])
    shown = everything_in(error)
    assert KEY not in shown
    assert PROMPT not in shown
    assert len(str(error)) < 1000
    assert "\n" not in str(error)


@pytest.mark.parametrize("vendor", SDKS, ids=str)
async def test_a_server_that_is_not_there_was_not_reached(vendor: Vendor) -> None:
    async with fault_server() as gone:
        provider = vendor.make(gone.url(vendor.wire))
    (event,) = await collect_events(provider)
    await provider.aclose()
    assert event.error is not None
    assert (event.error.kind, event.error.reached) == (ErrorKind.NETWORK, False)
    assert KEY not in everything_in(event.error)
