"""What users rely on in `sigil.channels`."""

from __future__ import annotations

import pytest

from sigil.channels import ChannelRouter, PairingMode, check_pairing
from sigil.errors import ChannelNotFound
from sigil.messages import OutboundMessage
from sigil.testing import MemoryChannel


async def test_the_router_sends_through_the_channel_of_that_name() -> None:
    router = ChannelRouter()
    channel = MemoryChannel("telegram")
    router.register("telegram", channel)
    assert router.get("telegram").name == "telegram"
    message = OutboundMessage(
        channel_type="telegram", channel_id="-100123", content="Hello", thread_id=None, media=()
    )
    await router.send(message)
    assert channel.sent == [message]
    with pytest.raises(ChannelNotFound) as error:
        router.get("slack")
    assert error.value.code == "channel.not_found"
    with pytest.raises(ChannelNotFound):
        await router.send(OutboundMessage(channel_type="slack", channel_id="1", content="x"))


@pytest.mark.parametrize(
    ("mode", "user_id", "admitted"),
    [
        (PairingMode.OPEN, "anyone", True),
        (PairingMode.CLOSED, "listed", False),
        (PairingMode.ALLOWLIST, "listed", True),
        (PairingMode.ALLOWLIST, "Listed", False),
        (PairingMode.PAIR_ON_REQUEST, "anyone", True),
        (PairingMode.PAIR_WITH_CODE, "listed", False),
    ],
)
def test_pairing_modes(mode: PairingMode, user_id: str, admitted: bool) -> None:
    assert check_pairing(mode, user_id, ["listed"]) is admitted
