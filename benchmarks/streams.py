"""How many streams of tokens two agent worker processes read at once, and what each costs, next to
the vendors' own SDKs on the same streams in the same run.

Everything but the vendor and the platform is as users run it: `sigil worker` for routing, agents
(two) and outbound, over one Valkey. Each stream is the one turn of a chat of its own; all are
asked for within `--ramp` seconds and must be open at the same time and end with every token sent
to the platform. Then the plain SDKs read as many streams in as many processes (`stream_sdks.py`),
from a vendor that speaks in the same way.

    python benchmarks/streams.py [--streams 1000] [--seconds 20] [--rate 5] [--wire openai …]

It reads, of the reading processes alone and with nothing subtracted:
- CPU per token while all streams are open and none has ended, which is the reading of streams;
- CPU per token of the whole run, which has the work of beginning and ending each turn in it;
and of Sigil's agent processes also
- memory per stream: peak memory less what the warm processes had before, threads included;
- added time to first token: from right before the vendor writes the first token's bytes to the
  socket until the provider hands its text to the chain of models, from where it reaches the
  draft without waiting for anything.

The last line is JSON. `wires` has each wire's figures; the names beside it are the worst of them.
`sdk_ratio` and `sdk_ratio_whole_run` are Sigil's CPU per token divided by the SDK's.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.stream_agents import AGENTS, Outcome, run_agents
from benchmarks.stream_costs import POLL_S, Sample, find_middle, per_token, vendor
from benchmarks.stream_sdks import READERS, run_sdks
from benchmarks.wires import WIRES

# Where more is better; of all other figures, less is.
_COUNTS = ("streams", "completed", "open_at_once")


def report_agents(wire: str, options: argparse.Namespace, outcome: Outcome) -> dict[str, Any]:
    """Prints and returns Sigil's figures on one wire."""
    tokens = round(options.seconds * options.rate)
    completed = sum(words == tokens for words in outcome.words)
    last = outcome.samples[-1].vendor
    middle = find_middle(outcome.samples, options.streams)
    quantiles = statistics.quantiles(outcome.late or [0.0, 0.0], n=100)
    figures = {
        "streams": options.streams,
        "completed": completed,
        "us_per_token": round(per_token(middle), 1),
        "kb_per_stream": round(1024 * outcome.memory / options.streams, 1),
        "ttft_added_p95_ms": round(quantiles[94], 2),
        "ttft_added_p50_ms": round(quantiles[49], 2),
        "us_per_token_whole_run": round(per_token(outcome.samples), 1),
        "open_at_once": last.peak,
    }
    shares = " + ".join(map(str, outcome.shares))
    seconds = POLL_S * (len(middle) - 1)
    print(
        f"{options.streams} streams of {options.seconds:g} s at {options.rate:g} tokens/s over"
        f" {wire}: {last.peak} at once, in {AGENTS} processes ({shares});"
        f" {completed} complete, {last.broken} broken"
    )
    print(
        f"CPU a token                    {figures['us_per_token']:8.1f} µs"
        f"   (about {seconds:.0f} s with all of them open)"
    )
    print(
        f"  with beginning and end of turns {figures['us_per_token_whole_run']:5.1f} µs"
        f"   (idle, not subtracted: {1000 * outcome.idle_cpu:.0f} ms/s)"
    )
    print(f"memory a stream                {figures['kb_per_stream']:8.1f} kB")
    print(
        f"added time to first token      p50 {quantiles[49]:.2f} ms, p95 {quantiles[94]:.2f} ms,"
        f" most {max(outcome.late, default=0.0):.1f} ms",
        flush=True,
    )
    return figures


def report_sdks(
    options: argparse.Namespace, samples: list[Sample], figures: dict[str, Any]
) -> dict[str, Any]:
    """Prints and returns what the SDK took, and Sigil's share of that."""
    steady = find_middle(samples, options.streams)
    middle, whole = per_token(steady), per_token(samples)
    ratio, whole_ratio = figures["us_per_token"] / middle, figures["us_per_token_whole_run"] / whole
    if steady is samples:
        print("the plain SDK never had all streams open: its first figure is that of the whole run")
    print(f"the plain SDK: CPU a token     {middle:8.1f} µs   (Sigil: {ratio:.2f} of it)")
    print(f"  with beginning and end of calls {whole:5.1f} µs   (Sigil: {whole_ratio:.2f} of it)")
    return {
        "sdk_us_per_token": round(middle, 1),
        "sdk_us_per_token_whole_run": round(whole, 1),
        "sdk_ratio": round(ratio, 3),
        "sdk_ratio_whole_run": round(whole_ratio, 3),
    }


def run(folder: Path, options: argparse.Namespace, wire: str) -> dict[str, Any]:
    """One wire: Sigil, and then the SDK."""
    tokens = round(options.seconds * options.rate)
    with vendor(wire, tokens, options.rate) as port:
        figures = report_agents(wire, options, run_agents(folder, options, wire, port))
    if wire in READERS and not options.live:
        with vendor(wire, tokens, options.rate) as port:
            samples = run_sdks(wire, port, options.streams, options.ramp, AGENTS, tokens)
        figures |= report_sdks(options, samples, figures)
    return figures


def combine(wires: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The worst of each figure, and the figures of each wire."""
    names = dict.fromkeys(name for figures in wires.values() for name in figures)
    worst: dict[str, Any] = {}
    for name in names:
        values = [figures[name] for figures in wires.values() if name in figures]
        worst[name] = min(values) if name in _COUNTS else max(values)
    return {**worst, "wires": wires}


def main() -> int:
    """The command line; 1 unless all streams were open at once and came out whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each one speaks")
    parser.add_argument("--rate", type=float, default=5.0, help="tokens a second of each")
    parser.add_argument(
        "--ramp", type=float, default=None, help="seconds; default: half of --seconds"
    )
    parser.add_argument("--wire", nargs="+", choices=sorted(WIRES), default=["openai", "anthropic"])
    parser.add_argument(
        "--live", action="store_true", help="with drafts, as on the web page; without the SDKs"
    )
    parser.add_argument("--keep-logs", type=Path)
    options = parser.parse_args()
    if options.ramp is None:
        options.ramp = options.seconds / 2
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wires: dict[str, dict[str, Any]] = {}
    for wire in options.wire:
        with tempfile.TemporaryDirectory(prefix="sigil-streams-") as folder:
            try:
                wires[wire] = run(Path(folder), options, wire)
            finally:
                if options.keep_logs:
                    logs_folder = Path(folder) / "logs"
                    options.keep_logs.mkdir(parents=True, exist_ok=True)
                    for file in logs_folder.glob("*.log"):
                        (options.keep_logs / f"{wire}-{file.name}").write_bytes(file.read_bytes())
    figures = combine(wires)
    print(json.dumps(figures))
    whole = figures["completed"] == figures["open_at_once"] == options.streams
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
