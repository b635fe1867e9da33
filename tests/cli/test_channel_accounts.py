"""What the commands say of an account to which nothing can be sent."""

from __future__ import annotations

from sigil.channels.account_leases import AccountRecord, describe_trouble
from sigil.cli.channel_accounts import read_records
from sigil.stores import Stores


async def test_an_account_that_cannot_send_is_told_with_its_cause(stores: Stores) -> None:
    await stores.account_rests.begin("telegram", "refused", "The token is wrong.")
    records = await read_records(stores, ["telegram", "matrix"])
    whys = {each.id: each.unsent for each in records}
    assert whys["telegram"] == "The token is wrong. It is tried again in 60 s"
    assert whys["matrix"] is None
    works = AccountRecord("telegram", unsent=whys["telegram"])
    assert describe_trouble(works) == (
        "nothing is sent to the channel telegram for now: The token is wrong. "
        "It is tried again in 60 s"
    )
