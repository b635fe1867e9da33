"""A stack whose turns run for as long as the test wants, and who can be watched."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from sigil.gateway import Gateway
from sigil.lanes.effects import Stage
from sigil.lanes.lane import LaneKind, lane_kind
from sigil.messages.exchange import InboundMessage
from tests.workers.stack import Stack
from workers.broker import transport_options, url
from workers.broker_queues import BrokerQueues
from workers.queues import Queue
from workers.wakeup import build_message, encode_message

CONFIG = """
channels: {{crowd: {{type: memory, pairing: open, coalesce: false}}}}
providers: {{gated: {{type: "tests.workers.peers:GatedModel", options: {options}}}}}
models: {{default: gated/echo}}
"""


class GatedStack(Stack):
    """`overrides` are settings of the environment."""

    def __init__(self, folder: Path, **overrides: object) -> None:
        self.calls, self.gate = folder / "calls.jsonl", folder / "hold"
        options = {"calls": str(self.calls), "hold": str(self.gate)}
        super().__init__(folder, CONFIG.format(options=json.dumps(options)), **overrides)

    def __enter__(self) -> Self:
        super().__enter__()
        self.queues = BrokerQueues(url(self.settings), transport_options(self.settings))
        return self

    def __exit__(self, *exc: object) -> None:
        self.queues.close()
        super().__exit__(*exc)

    def hold(self, text: str = "") -> None:
        """Lets no turn end, or none that answers this text."""
        self._gate(text).touch()

    def let_go(self, text: str = "") -> None:
        self._gate(text).unlink()

    def _gate(self, text: str) -> Path:
        return self.gate.with_name(f"hold-{text}") if text else self.gate

    def lines(self, what: str) -> list[dict[str, Any]]:
        """Calls of the model that began, or that ended."""
        if not self.calls.exists():
            return []
        lines = map(json.loads, self.calls.read_text().splitlines())
        return [line for line in lines if line["what"] == what]

    def most_in_hand(self) -> dict[int, int]:
        """How many turns each process had in hand at once, at most."""
        now: Counter[int] = Counter()
        most: Counter[int] = Counter()
        for line in map(json.loads, self.calls.read_text().splitlines()):
            now[line["pid"]] += 1 if line["what"] == "begin" else -1
            most[line["pid"]] = max(most[line["pid"]], now[line["pid"]])
        return dict(most)

    async def route(self, gateway: Gateway, texts: list[str]) -> list[str]:
        """Brings one message of each text as far as the lane of a session of its own. Nobody is
        woken for it; returns the lanes."""
        for text in texts:
            await gateway.receive(message(text))
        for lane in [lane for lane in woken(gateway) if lane_kind(lane) is LaneKind.INBOUND]:
            await gateway.route(lane)
        return [lane for lane in woken(gateway) if lane_kind(lane) is LaneKind.SESSION]

    def wake_together(self, lanes: list[str]) -> None:
        """One wake-up that names all of these sessions."""
        headed = build_message("sigil.turn", lanes)
        self.queues.push(Queue.AGENT, [encode_message("sigil.agent", *headed)], most_waiting=64)

    def waiting(self, queue: Queue = Queue.AGENT) -> int:
        return self.queues.length(queue)


class Collected:
    """Wakes nobody."""

    lanes_per_wakeup = 1

    def __init__(self) -> None:
        self.lanes: list[str] = []

    def wake(self, lane: str) -> None:
        self.lanes.append(lane)

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        self.lanes += lanes

    async def backlog(self, stage: Stage) -> int:
        return 0


def woken(gateway: Gateway) -> list[str]:
    assert isinstance(gateway.wakeups, Collected)
    return gateway.wakeups.lanes


def message(text: str) -> InboundMessage:
    """From somebody who writes for the first time."""
    return InboundMessage("crowd", text, f"m-{text}", text, text)
