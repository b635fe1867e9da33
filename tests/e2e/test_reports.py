"""A platform's later word, when the worker that sent the message was killed before it wrote that
down."""

from __future__ import annotations

import pytest

from sigil.channels.base import Report
from sigil.gateway import Gateway
from sigil.messages.exchange import OutboundMessage
from tests.outbound.reporting import Platform, serve
from tests.workers.stack import Stack, short_folder, until_so, wait_until

CONFIG = """
channels:
  late: {{type: "tests.outbound.reporting:ReportingType", options: {{url: "{url}"}}}}
lanes: {{lease: 3, renew: 1}}
"""


async def is_delivered(gateway: Gateway, item_id: str) -> bool:
    return "delivery" in (await gateway.stores.messages.get(item_id) or {})


@pytest.mark.slow
@pytest.mark.valkey
@pytest.mark.parametrize("named_by", ["wamid.{id}.0", "{id}.0"], ids=["platform", "chunk"])
async def test_a_report_that_comes_before_the_receipt_counts(named_by: str) -> None:
    platform = Platform()
    with (
        serve(platform) as url,
        short_folder() as folder,
        Stack(folder, CONFIG.format(url=url)) as stack,
    ):
        worker = stack.worker("outbound")
        async with stack.gateway() as gateway:
            message = OutboundMessage(channel_type="late", channel_id="chat", content="Hello")
            item_id = await gateway.notify(message)
            wait_until(lambda: platform.taken, within=20)
            worker.kill()
            worker.wait(10)
            key, failed = named_by.format(id=item_id), Report("failed", "blocked")
            await gateway.report("late", key, failed)
            record = await gateway.stores.messages.get(item_id)
            assert record is not None
            assert "report:0" not in record

            platform.answers.set()
            stack.worker("outbound")
            await until_so(lambda: is_delivered(gateway, item_id), within=30)
            assert platform.taken == [f"{item_id}.0"] * 2, "sent again under the same key"
            record = await gateway.stores.messages.get(item_id)
            assert record is not None
            assert (record["delivery"], record["report:0"]) == ("undelivered", "failed blocked")
            await gateway.report("late", key, failed)
            assert (await gateway.stores.lanes.verify(deep=True))["balanced"]
            [day] = (await gateway.stores.lanes.counts()).values()
            assert (day["replies"], day.get("sent", 0), day["undelivered"]) == (1, 0, 1)
