"""The reference of `benchmarks/streams.py`: the vendors' own SDKs read the same streams.

A program as the SDKs' documentation writes it: one client, one task a stream, the text joined, and
uvloop. It neither stores nor sends anything, and has no queue, budget, failover or draft. The
streams are divided among as many processes as Sigil has agent processes.

    python -m benchmarks.stream_sdks WIRE PORT STREAMS RAMP

It prints `ready` once it is warm, waits for a line, opens a stream every RAMP / STREAMS seconds,
prints how many tokens each answer had, and waits to be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from benchmarks.fleet import ROOT
from benchmarks.stream_costs import Sample, watch
from benchmarks.vendor import WARM_UP
from benchmarks.wires import WIRES

WARM_UPS = 8
_QUESTION = "Say something that takes a while."
_SYSTEM = "You are a helpful assistant."
_KEY = "sk-bench"

Read = Callable[[str], Awaitable[str]]
"""Asks a question and returns the whole answer."""


def read_chat(base_url: str) -> Read:
    """OpenAI's chat completions."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=_KEY, base_url=base_url)

    async def read(question: str) -> str:
        stream = await client.chat.completions.create(
            model="bench",
            messages=[
                {"role": "system", "content": _SYSTEM},
                {"role": "user", "content": question},
            ],
            max_tokens=4096,
            stream=True,
            stream_options={"include_usage": True},
        )
        deltas = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
        return "".join(filter(None, deltas))

    return read


def read_responses(base_url: str) -> Read:
    """OpenAI's responses."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=_KEY, base_url=base_url)

    async def read(question: str) -> str:
        stream = await client.responses.create(
            model="bench", instructions=_SYSTEM, input=question, stream=True
        )
        return "".join([e.delta async for e in stream if e.type == "response.output_text.delta"])

    return read


def read_messages(base_url: str) -> Read:
    """Anthropic's messages."""
    from anthropic import AsyncAnthropic

    client = AsyncAnthropic(api_key=_KEY, base_url=base_url)

    async def read(question: str) -> str:
        async with client.messages.stream(
            model="bench",
            system=_SYSTEM,
            messages=[{"role": "user", "content": question}],
            max_tokens=4096,
        ) as stream:
            return "".join([text async for text in stream.text_stream])

    return read


READERS: dict[str, Callable[[str], Read]] = {
    "openai": read_chat,
    "openai-responses": read_responses,
    "anthropic": read_messages,
}
"""Name of a wire to the program that reads it. The other wires have no reference."""


def run_sdks(
    wire: str, port: int, streams: int, ramp: float, processes: int, tokens: int
) -> list[Sample]:
    """Reads so many streams in so many processes and returns what it cost. Raises
    `RuntimeError` if an answer did not come out whole."""
    program = [sys.executable, "-m", "benchmarks.stream_sdks", wire, str(port)]
    readers = [
        subprocess.Popen(
            [*program, str(len(range(number, streams, processes))), str(ramp)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(processes)
    ]
    try:
        samples, words = asyncio.run(_watch(readers, port))
    finally:
        for reader in readers:
            reader.terminate()
            reader.wait(20)
    wrong = [each for each in words if each != tokens]
    if wrong:
        raise RuntimeError(f"{len(wrong)} answers of the SDK are not whole, such as {wrong[0]}")
    return samples


async def _watch(
    readers: list[subprocess.Popen[bytes]], port: int
) -> tuple[list[Sample], list[object]]:
    """Starts them once all are ready; the number of words of each answer, or its error."""
    await asyncio.gather(*(asyncio.to_thread(_read_line, reader) for reader in readers))
    async with watch(port, readers) as samples:
        for reader in readers:
            _write_line(reader)
        lines = [asyncio.to_thread(_read_line, reader) for reader in readers]
        words = [word for line in await asyncio.gather(*lines) for word in json.loads(line)]
    return samples, words


def _read_line(reader: subprocess.Popen[bytes]) -> bytes:
    assert reader.stdout is not None
    return reader.stdout.readline()


def _write_line(reader: subprocess.Popen[bytes]) -> None:
    assert reader.stdin is not None
    reader.stdin.write(b"\n")
    reader.stdin.flush()


async def main(wire: str, port: int, streams: int, ramp: float) -> None:
    """The program of one process."""
    read = READERS[wire](f"http://127.0.0.1:{port}{WIRES[wire].base}")
    await asyncio.gather(*(read(WARM_UP.decode()) for _ in range(WARM_UPS)))
    gc.collect()
    gc.freeze()  # as Sigil's workers do once they are warm
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    loop = asyncio.get_running_loop()
    started = loop.time()
    tasks = []
    for number in range(streams):
        await asyncio.sleep(max(0.0, started + ramp * number / streams - loop.time()))
        tasks.append(asyncio.create_task(read(_QUESTION)))
    answers: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps([len(a.split()) if isinstance(a, str) else repr(a) for a in answers]))
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
