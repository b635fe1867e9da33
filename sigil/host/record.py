"""Keeps this process's record among those of the fleet, as long as its event loop runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import sigil
from sigil import records
from sigil.config.digest import digest_settings
from sigil.errors import StoreError
from sigil.lanes.fleet import REPORT_EVERY_S, FleetStore, ProcessRecord, choose_lanes_per_wakeup

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.lanes.lane import Wakeups

REMOVE_WITHIN_S = 1.0

CountSlots = Callable[[], tuple[int, int]]
"""How many slots a worker has, and how many of them are in use."""


class RecordKeeper:
    """Writes the record every `REPORT_EVERY_S`, and removes it when the process ends.

    The answer to each report also says what the other processes understand, and wake-ups follow
    that.
    """

    def __init__(
        self,
        settings: Settings,
        roles: Sequence[str],
        *,
        wakeup_lanes: int = 1,
    ) -> None:
        self._id = secrets.token_hex(8)
        self._roles = tuple(roles)
        self._configuration = digest_settings(settings)
        self._wakeup_lanes = wakeup_lanes
        self._began = time.monotonic()

    async def keep(
        self,
        fleet: FleetStore,
        wakeups: Wakeups,
        count_slots: CountSlots = lambda: (0, 0),
        count_left_lanes: Callable[[], int] = lambda: 0,
    ) -> None:
        """A chore of the process."""
        try:
            while True:
                # If the store is away, so is everything that reads the record.
                with contextlib.suppress(StoreError):
                    process = self._describe_process(*count_slots(), count_left_lanes())
                    known = await fleet.report(process)
                    wakeups.lanes_per_wakeup = choose_lanes_per_wakeup(known)
                await asyncio.sleep(REPORT_EVERY_S)
        finally:
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(REMOVE_WITHIN_S):
                    await fleet.remove(self._id)

    def _describe_process(self, slots: int, in_use: int, left_lanes: int) -> ProcessRecord:
        return ProcessRecord(
            self._id,
            self._roles,
            version=sigil.__version__,
            configuration=self._configuration,
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=slots,
            slots_in_use=in_use,
            wakeup_lanes=self._wakeup_lanes,
            records=records.VERSION,
            left_lanes=left_lanes,
            uptime=time.monotonic() - self._began,
        )
