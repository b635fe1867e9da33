"""Asks a homeserver whether an account works, for `sigil channel test`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.channels.base import Check
from sigil.channels.matrix.client import API, MatrixClient, make_path
from sigil.channels.matrix.errors import StreamTokenInvalid
from sigil.errors import AccountRefused, ChannelError, SendFailed, SendRefused

if TYPE_CHECKING:
    from sigil.channels.matrix.client import Json
    from sigil.channels.matrix.settings import MatrixSettings

MAX_ROOMS = 20
"""The most rooms that are looked at."""


async def check_account(name: str, settings: MatrixSettings) -> list[Check]:
    """Checks the address, the login, and the rooms, and stops at the first that is not well. A
    login by password is for a device of its own, and is given back."""
    borrowed = settings.access_token is None
    if borrowed:
        settings = settings.model_copy(update={"device_id": f"{settings.device_id}-CHECK"})
    client = MatrixClient(name, settings)
    found: list[Check] = []
    try:
        await client.check_server()
        found.append(Check(f"{settings.homeserver} is a homeserver", ok=True))
        login = await client.fetch_login()
        device = "" if borrowed else f", device {login.device_id}"
        found.append(Check(f"signed in as {login.user_id}{device}", ok=True))
        found += await _check_rooms(client)
        if borrowed:
            await client.log_out()
    except ChannelError as error:
        found.append(_explain(error, name))
    finally:
        await client.close()
    return found


def _explain(error: ChannelError, name: str) -> Check:
    hint = error.hint or ""
    if not hint and isinstance(error, SendFailed) and not isinstance(error, AccountRefused):
        hint = f"Check channels.{name}.homeserver, and whether this machine reaches it."
    return Check(error.message, ok=False, hint=hint)


async def _check_rooms(client: MatrixClient) -> list[Check]:
    answer = await client.call("GET", f"{API}/joined_rooms")
    listed = answer.get("joined_rooms")
    rooms = [room for room in listed if isinstance(room, str)] if isinstance(listed, list) else []
    found = [Check(f"in {len(rooms)} rooms", ok=True, hint="" if rooms else "Invite it to one.")]
    for room in rooms[:MAX_ROOMS]:
        if await _read_state(client, room, "m.room.encryption") is not None:
            found.append(
                Check(
                    f"{room} is encrypted; messages there cannot be read",
                    ok=False,
                    hint="Use a room without encryption.",
                )
            )
        levels = await _read_state(client, room, "m.room.power_levels")
        if levels is not None and not _may_write(levels, client.user_id):
            found.append(
                Check(
                    f"may not write in {room}",
                    ok=False,
                    hint="Raise its power level there, or lower what messages need.",
                )
            )
    return found


async def _read_state(client: MatrixClient, room: str, kind: str) -> Json | None:
    try:
        return await client.call("GET", make_path("rooms", room, "state", kind, ""))
    except (SendRefused, StreamTokenInvalid):
        return None


def _may_write(levels: Json, user_id: str) -> bool:
    """By the room's levels (https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels)."""
    users, events = levels.get("users"), levels.get("events")
    own = users.get(user_id) if isinstance(users, dict) else None
    needed = events.get("m.room.message") if isinstance(events, dict) else None
    own = levels.get("users_default", 0) if own is None else own
    needed = levels.get("events_default", 0) if needed is None else needed
    return not (isinstance(own, int) and isinstance(needed, int)) or own >= needed
