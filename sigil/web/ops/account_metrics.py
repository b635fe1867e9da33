"""Whether the accounts of channels work, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from prometheus_client.core import GaugeMetricFamily, Metric

from sigil.channels.account_leases import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sigil.channels.account_leases import AccountRecord


def measure_accounts(records: Sequence[AccountRecord]) -> Iterator[Metric]:
    """The metrics of all accounts that a gateway process listens for."""
    states = GaugeMetricFamily(
        "sigil_channel_state",
        "1: the channel is in this state; nobody: no gateway process listens for it",
        labels=["channel", "state"],
    )
    works = GaugeMetricFamily("sigil_channel_works", "1: the channel works", labels=["channel"])
    silence = GaugeMetricFamily(
        "sigil_channel_silence_seconds", "Since the connection showed life", labels=["channel"]
    )
    cursor = GaugeMetricFamily(
        "sigil_channel_cursor_age_seconds", "Since the cursor was saved", labels=["channel"]
    )
    for record in records:
        now = record.state if record.is_held else "nobody"
        for state in (*get_args(State), "nobody"):
            states.add_metric([record.id, state], int(state == now))
        works.add_metric([record.id], int(record.works))
        if record.silence is not None:
            silence.add_metric([record.id], record.silence)
        if record.cursor_age is not None:
            cursor.add_metric([record.id], record.cursor_age)
    yield from (states, works, silence, cursor)
