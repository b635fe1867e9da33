"""A page of the documentation as something to be followed: files to save, commands to type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"(?P<before>[^\n]*)\n\n^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class File:
    """A block with a title: the reader saves it under that name. `before` is the line of prose
    above it."""

    name: str
    text: str
    before: str


@dataclass(frozen=True)
class Command:
    """A line after `$`, and what the page says it prints. There `…` stands for any text, and a
    line with nothing else for any lines. The width of gaps does not matter."""

    line: str
    output: str

    def prints(self, text: str) -> bool:
        """Whether this is the whole output."""
        return re.fullmatch(self._pattern, _squeeze(text)) is not None

    def begins_with(self, text: str) -> bool:
        """Whether a program that still runs has printed this much."""
        return re.match(self._pattern, _squeeze(text)) is not None

    @property
    def _pattern(self) -> str:
        lines = _squeeze(self.output).splitlines()
        return "".join(
            r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
            for line in lines
        )


def read_steps(page: Path) -> Iterator[File | Command]:
    """What the reader does, in order."""
    for block in _FENCE.finditer(page.read_text()):
        if block["title"]:
            yield File(block["title"], block["text"], block["before"])
        elif block["language"] == "console":
            yield from _read_commands(block["text"])


def _read_commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def _squeeze(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)
