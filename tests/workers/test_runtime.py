"""The runtime: steps run on the loop, sweeping goes on, and a stop hands back what is left."""

import gc
import os
import signal
import time
from collections.abc import Iterator

import pytest

from sigil.errors import ConfigError, StoreError
from tests.workers.stack import wait_until
from tests.workers.stand_in import StandIn
from workers.runtime import Runtime


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


class Ends:
    """How steps ended, in their order."""

    def __init__(self) -> None:
        self.errors: list[BaseException | None] = []

    def __call__(self, error: BaseException | None) -> None:
        self.errors.append(error)

    def wait(self, count: int) -> None:
        wait_until(lambda: len(self.errors) >= count, within=5)


@pytest.fixture
def ends() -> Ends:
    return Ends()


LANES = [f"session:any:{name}" for name in "abc"]


def test_each_lane_is_a_step_of_its_own(runtime: Runtime, ends: Ends):
    runtime.submit(StandIn.only_b_is_broken, LANES, ends)
    ends.wait(3)
    assert sorted(map(repr, ends.errors)) == ["None", "None", "ValueError('session:any:b')"]


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


@pytest.mark.parametrize("error", [RuntimeError("a defect"), SystemExit(3)])
def test_a_loop_that_ends_by_itself_ends_the_process(
    error: BaseException, gateway: StandIn, monkeypatch: pytest.MonkeyPatch
):
    """Else the worker would go on taking wake-ups, and do nothing about them."""
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *call: killed.append(call))
    gateway.sweep_error = error
    runtime = Runtime(lambda: gateway, grace=1)
    runtime.start()
    wait_until(lambda: killed == [(os.getpid(), signal.SIGTERM)], within=5)
    runtime.stop()


def test_a_stop_lets_a_running_step_finish(runtime: Runtime, gateway: StandIn, ends: Ends):
    runtime.submit(StandIn.slow, LANES[:1], ends)
    assert gateway.started.wait(5)
    runtime.stop_soon()
    wait_until(lambda: not gateway.taking, within=5)
    runtime.drain()  # not a second stop
    assert not ends.errors
    gateway.finish.set()
    ends.wait(1)
    assert not gateway.handed_back
    assert gateway.cancelled == 0


def test_after_the_grace_time_what_is_left_is_handed_back_lane_by_lane(
    gateway: StandIn, ends: Ends
):
    """One of the three lanes of a task has ended by then."""
    runtime = Runtime(lambda: gateway, grace=0.5)
    runtime.start()
    runtime.submit(StandIn.slow_but_for_b, LANES, ends)
    ends.wait(1)
    assert len(gateway.working) == 2
    runtime.stop_soon()
    ends.wait(3)
    assert ends.errors == [None, None, None]
    assert gateway.handed_back
    assert gateway.cancelled == 2
    runtime.stop()
    assert gateway.closed


def test_a_second_stop_does_not_wait(runtime: Runtime, gateway: StandIn, ends: Ends):
    runtime.submit(StandIn.slow, LANES[:1], ends)
    assert gateway.started.wait(5)
    runtime.stop_soon()
    runtime.stop_soon()
    ends.wait(1)
    assert gateway.handed_back


def test_what_comes_after_a_stop_is_woken_for_others(
    runtime: Runtime, gateway: StandIn, ends: Ends
):
    runtime.stop_soon()
    wait_until(lambda: not gateway.taking, within=5)
    runtime.submit(StandIn.slow, LANES, ends)
    ends.wait(3)
    assert not gateway.working
    assert gateway.woken == LANES


def test_lanes_can_be_handed_back_while_others_go_on(
    runtime: Runtime, gateway: StandIn, ends: Ends
):
    runtime.submit(StandIn.slow, LANES, ends)
    wait_until(lambda: len(gateway.working) == 3, within=5)
    runtime.hand_back(LANES[:2])
    ends.wait(2)
    assert gateway.cancelled == 2
    gateway.finish.set()
    ends.wait(3)
    assert gateway.cancelled == 2


def test_the_end_closes_the_gateway_and_then_tells(gateway: StandIn, ends: Ends):
    told: list[bool] = []
    runtime = Runtime(lambda: gateway, grace=1, on_end=lambda: told.append(gateway.closed))
    runtime.start()
    runtime.stop()
    assert told == [True]
    assert not runtime.is_running
    runtime.submit(StandIn.slow, LANES, ends)
    assert ends.errors == [None, None, None]
