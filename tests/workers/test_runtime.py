"""The runtime: steps run on the loop, sweeping goes on, and a stop hands back what is left."""

import asyncio
import gc
import threading
import time
from collections.abc import Iterator

import pytest

from sigil.errors import ConfigError, StoreError
from sigil.host.process import Process
from tests.workers.stack import wait_until
from workers.runtime import Runtime


class StandIn(Process):
    """A process, its gateway and that one's leases in one, with steps that a test controls."""

    class Stores:
        counters = None

    def __init__(self) -> None:
        super().__init__(gateway=self, settings=None)  # type: ignore[arg-type]
        self.keeper = self
        self.sweeps = 0
        self.sweep_error: Exception | None = None
        self.away: Exception | None = None
        self.taking = True
        self.handed_back = False
        self.closed = False
        self.started = threading.Event()
        self.finish = threading.Event()
        self.cancelled = 0
        self.working: set[asyncio.Task[object]] = set()

    async def reach_store(self, within: float) -> None:
        if self.away is not None:
            raise self.away

    async def quick(self, lane: str) -> str:
        assert threading.current_thread().name == "loop"
        return lane

    async def broken(self, lane: str) -> None:
        raise ValueError(lane)

    async def slow(self, lane: str) -> None:
        self.working.add(asyncio.current_task())
        self.started.set()
        try:
            while not self.finish.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def recover(self) -> float | None:
        self.sweeps += 1
        if self.sweep_error is not None:
            raise self.sweep_error
        return 0.0

    async def prepare(self) -> None:
        pass

    async def flush_times(self) -> None:
        await asyncio.Event().wait()

    async def listen_for_stops(self) -> None:
        await asyncio.Event().wait()

    def stop_taking(self) -> None:
        self.taking = False

    async def hand_back(self) -> None:
        self.handed_back = True
        for task in self.working:
            task.cancel()

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def gateway() -> StandIn:
    return StandIn()


@pytest.fixture
def runtime(gateway: StandIn) -> Iterator[Runtime]:
    runtime = Runtime(lambda: gateway, grace=30)
    runtime.start()
    yield runtime
    gateway.finish.set()
    runtime.stop()


def in_thread(runtime: Runtime, step: object, lane: str = "session:any:a") -> threading.Thread:
    thread = threading.Thread(target=runtime.run, args=(step, lane))
    thread.start()
    return thread


def test_what_a_step_raises_reaches_the_task(runtime: Runtime):
    runtime.run(StandIn.quick, "session:any:a")
    with pytest.raises(ValueError, match="session:any:b"):
        runtime.run(StandIn.broken, "session:any:b")


def test_what_is_loaded_at_the_start_is_not_collected_again_and_again(runtime: Runtime):
    try:
        wait_until(lambda: gc.get_freeze_count() > 0, within=10)
    finally:
        gc.unfreeze()


def test_a_gateway_that_cannot_be_built_is_said_to_the_starter():
    def make() -> StandIn:
        raise ConfigError("no such channel")

    with pytest.raises(ConfigError, match="no such channel"):
        Runtime(make, grace=1).start()


def test_a_store_that_is_away_at_the_start_is_said_to_the_starter(gateway: StandIn):
    gateway.away = StoreError("gone")
    with pytest.raises(StoreError, match="gone"):
        Runtime(lambda: gateway, grace=1).start()
    wait_until(lambda: gateway.closed, within=5)


def test_sweeping_survives_a_store_that_is_away(runtime: Runtime, gateway: StandIn):
    wait_until(lambda: gateway.sweeps >= 2, within=5)
    gateway.sweep_error = StoreError("gone")
    seen = gateway.sweeps
    wait_until(lambda: gateway.sweeps >= seen + 2, within=10)
    gateway.sweep_error = None
    seen = gateway.sweeps
    wait_until(lambda: gateway.sweeps >= seen + 3, within=10)


def test_a_sweep_that_always_finds_something_does_not_spin(runtime: Runtime, gateway: StandIn):
    began, first = time.monotonic(), gateway.sweeps
    wait_until(lambda: gateway.sweeps >= first + 6, within=10)
    assert time.monotonic() - began > 0.2


def test_a_stop_lets_a_running_step_finish(runtime: Runtime, gateway: StandIn):
    thread = in_thread(runtime, StandIn.slow)
    assert gateway.started.wait(5)
    runtime.stop_soon()
    wait_until(lambda: not gateway.taking, within=5)
    assert thread.is_alive()
    gateway.finish.set()
    thread.join(5)
    assert not thread.is_alive()
    assert not gateway.handed_back
    assert gateway.cancelled == 0


def test_after_the_grace_time_what_is_left_is_handed_back(gateway: StandIn):
    runtime = Runtime(lambda: gateway, grace=0.2)
    runtime.start()
    threads = [in_thread(runtime, StandIn.slow, f"session:any:{n}") for n in range(3)]
    wait_until(lambda: len(gateway.working) == 3, within=5)
    runtime.stop_soon()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert gateway.handed_back
    assert gateway.cancelled == 3
    runtime.stop()
    assert gateway.closed


def test_a_second_stop_does_not_wait(runtime: Runtime, gateway: StandIn):
    thread = in_thread(runtime, StandIn.slow)
    assert gateway.started.wait(5)
    runtime.stop_soon()
    runtime.stop_soon()
    thread.join(5)
    assert not thread.is_alive()
    assert gateway.handed_back


def test_what_comes_after_a_stop_is_left_to_others(runtime: Runtime, gateway: StandIn):
    runtime.stop_soon()
    wait_until(lambda: not gateway.taking, within=5)
    began = time.monotonic()
    runtime.run(StandIn.slow, "session:any:late")
    assert time.monotonic() - began < 1
    assert not gateway.working


def test_the_end_closes_the_gateway_and_then_tells(gateway: StandIn):
    told: list[bool] = []
    runtime = Runtime(lambda: gateway, grace=1, on_end=lambda: told.append(gateway.closed))
    runtime.start()
    runtime.stop()
    assert told == [True]
    runtime.run(StandIn.quick, "session:any:a")
